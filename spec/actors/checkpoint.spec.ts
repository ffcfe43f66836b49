import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CoreBroker } from '../../actors/broker/broker.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import { Lives, tinySettings } from '../simulation/lives.ts'

const TOPICS = 60

const send = (broker: CoreBroker, topic: string): Promise<unknown> =>
  broker.append(
    topic,
    encodeDraft({ body: 'b' }, { messageId: 'm', bornAtMs: 0, bornHost: 'here' }),
  )

const boundsOf = (broker: CoreBroker, topic: string) => broker.topics.describe(topic).offsets[0]

const CheckpointSpec = suite('checkpoint')

CheckpointSpec('is given up when the log was reopened under it', async () => {
  // No block stays in memory, so that preparing each takes a turn of its own.
  const reclaim = { ...tinySettings.reclaim, carryBelow: 0 }
  const lives = new Lives(1, { ...tinySettings, blockCacheBytes: 1, reclaim }, () => {})
  const { clock, place } = lives
  const names = Array.from({ length: TOPICS }, (_, number) => `t${number}`)
  const life = await lives.open()
  for (const name of names) {
    await clock.until(life.broker.topics.create(name, { queues: 1 }))
    await clock.until(send(life.broker, name))
  }
  await clock.until(life.broker.upkeep.checkpoint())
  for (const name of names) await clock.until(send(life.broker, name))
  const bounds = names.map((name) => boundsOf(life.broker, name))

  // Encoded first, and gone when the last topics are prepared.
  const ghosts = names.slice(0, 3)
  place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
  const outcomes = ghosts.map((name) =>
    send(life.broker, name).then(
      () => 'done',
      () => 'refused',
    ),
  )
  const checkpointing = life.broker.upkeep.checkpoint().then(
    () => 'written',
    () => 'given up',
  )
  assert.equal(await clock.until(Promise.all(outcomes)), ['refused', 'refused', 'refused'])
  assert.is(await clock.until(checkpointing), 'given up')
  life.die()
  place.crash(1)

  const after = await lives.open()
  assert.equal(
    names.map((name) => boundsOf(after.broker, name)),
    bounds,
    'no ghost is there',
  )
  await clock.until(after.broker.close())
})

CheckpointSpec('is written behind every fact that it holds', async () => {
  const lives = new Lives(1, tinySettings, () => {})
  const { clock, place } = lives
  const life = await lives.open()
  await clock.until(life.broker.topics.create('t', { queues: 1 }))
  for (let count = 0; count < 20; count++) void send(life.broker, 't').catch(() => {})
  await clock.until(life.broker.upkeep.checkpoint())
  life.die()
  place.crash(1)
  const after = await lives.open()
  assert.is(boundsOf(after.broker, 't')?.offsetMax, 20)
  await clock.until(after.broker.close())
})

CheckpointSpec('does not say that a trim is in it which is not synced yet', async () => {
  const lives = new Lives(1, tinySettings, () => {})
  const { clock, place } = lives
  const life = await lives.open()
  const retention = { bytes: 300 }
  await clock.until(life.broker.topics.create('t', { queues: 1, retention }))
  for (let count = 0; count < 20; count++) void send(life.broker, 't').catch(() => {})
  await clock.settle()
  place.slowWrites('commit-log', 500)
  place.slowWrites('index', 500)
  while (life.broker.log.unsyncedBytes === 0) await clock.advance(10)
  assert.is(boundsOf(life.broker, 't')?.offsetMin, 0, 'the trim is on its way')
  await clock.until(life.broker.upkeep.checkpoint())
  const bounds = boundsOf(life.broker, 't')
  assert.ok(bounds && bounds.offsetMin > 0)
  life.die()
  place.crash(1)
  place.heal()
  const after = await lives.open()
  assert.equal(boundsOf(after.broker, 't'), bounds)
  await clock.until(after.broker.close())
})

CheckpointSpec.run()
