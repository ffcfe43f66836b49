import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeDraft } from '../../../model/message/encode.ts'
import { AGroup, codeOf } from '../consumer-group/a-group.ts'

const QueuesAdded = suite('queues that are added to a topic')

const queuesOf = ({ broker }: AGroup): number[] =>
  broker.topics.describe('topic').offsets.map(({ queueId }) => queueId)

QueuesAdded('go with all they took when the change is not written, and come later', async () => {
  const world = await AGroup.open()
  const { place } = world.lives
  await world.send(1)
  const { bytes } = world.broker.topics.describe('topic')
  place.slowWrites('commit-log', 500)
  place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
  const { topics } = world.broker
  const changes = [2, 4].map((queues) => codeOf(topics.update('topic', { queues })))
  assert.equal(queuesOf(world), [0, 1, 2, 3], 'folded where it was admitted')
  const sent = ['a', 'b', 'c', 'd'].map((messageId) => {
    const draft = encodeDraft({ body: 'x' }, { messageId, bornAtMs: 1, bornHost: 'here' })
    return codeOf(world.broker.append('topic', draft))
  })
  const outcomes = await world.until(Promise.all([...changes, ...sent]))
  assert.equal(new Set(outcomes), new Set(['STORE_UNAVAILABLE']))
  place.slowWrites('commit-log', 0)
  await world.clock.advance(5_000)
  const { queues, ...after } = topics.describe('topic')
  assert.equal([queues, queuesOf(world)], [1, [0]])
  assert.equal([after.messages, after.bytes], [1, bytes])
  await world.until(topics.update('topic', { queues: 3 }))
  await world.send(3)
  assert.is((await world.receive()).length, 4)
  await world.restart()
  assert.equal(queuesOf(world), [0, 1, 2])
  assert.is(world.broker.topics.describe('topic').messages, 4)
  await world.close()
})

QueuesAdded.run()
