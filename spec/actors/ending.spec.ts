import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CoreBroker } from '../../actors/broker/broker.ts'
import { brokerDefaults } from '../../actors/broker/settings.ts'
import { systemClock, systemRandom } from '../../index.ts'
import { tagFilter } from '../../model/delivery/filter.ts'
import { isBrokerError } from '../../model/errors.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import { MemoryPlace } from '../../storage/memory/memory-place.ts'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
const message = encodeDraft({ body: 'x' }, { messageId: 'id', bornAtMs: 1, bornHost: 'host' })
const wanted = { filter: tagFilter('*'), batchMax: 1, invisibleMs: 30_000 }

const codeOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work()
    return 'taken'
  } catch (error) {
    return isBrokerError(error) ? error.code : String(error)
  }
}

/** A broker whose ending cannot get past its first step until it is let. */
const openHeld = async () => {
  const place = new MemoryPlace({ random: systemRandom })
  const components = { clock: systemClock, logger: quiet, place }
  const broker = await CoreBroker.open(components, brokerDefaults)
  await broker.topics.create('topic', { queues: 1 })
  await broker.groups.create('group')
  await broker.append('topic', message)
  let release = (): void => {}
  const held = broker.index.exclusive(
    () =>
      new Promise<void>((resolve) => {
        release = resolve
      }),
  )
  const receive = (waitMs: number) =>
    broker.receive({ ...wanted, topic: 'topic', group: 'group', waitMs })
  return { broker, receive, release: () => release(), held }
}

const Ending = suite('ending')

Ending('an ending topic refuses sends, receives and acks, and answers who waits', async () => {
  const { broker, receive, release, held } = await openHeld()
  const { deliveries } = await receive(0)
  const handle = deliveries[0]?.handle
  assert.ok(handle)
  const waiting = codeOf(() => receive(20_000))
  const ended = broker.topics.end('topic')
  assert.is(await waiting, 'TOPIC_ENDING')
  assert.is(await codeOf(async () => broker.append('topic', message)), 'TOPIC_ENDING')
  assert.is(await codeOf(() => receive(0)), 'TOPIC_ENDING')
  assert.is(await codeOf(() => broker.ack(handle)), 'TOPIC_ENDING')
  assert.is(await codeOf(() => broker.topics.create('topic')), 'TOPIC_ENDING')
  release()
  await Promise.all([held, ended])
  assert.is(await codeOf(async () => broker.append('topic', message)), 'TOPIC_NOT_FOUND')
  assert.is(await codeOf(() => broker.ack(handle)), 'taken', 'there is nothing left to end')
  const again = await broker.topics.create('topic', { queues: 1 })
  assert.is(again.offsets[0]?.offsetMax, 0)
  await broker.close()
})

Ending('an ending group refuses receives and acks, and answers who waits', async () => {
  const { broker, receive, release, held } = await openHeld()
  const { deliveries } = await receive(0)
  const handle = deliveries[0]?.handle
  assert.ok(handle)
  const waiting = codeOf(() => receive(20_000))
  const ended = broker.groups.end('group')
  assert.is(await waiting, 'GROUP_ENDING')
  assert.is(await codeOf(() => receive(0)), 'GROUP_ENDING')
  assert.is(await codeOf(() => broker.ack(handle)), 'GROUP_ENDING')
  release()
  await Promise.all([held, ended])
  assert.is(broker.groups.find('group'), undefined)
  const { deliveries: anew } = await receive(0)
  assert.is(anew[0]?.attempt, 1, 'a group of the same name begins anew')
  await broker.close()
})

Ending.run()
