import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CoreBroker } from '../../actors/broker/broker.ts'
import { VERSION } from '../../index.ts'
import { tagFilter } from '../../model/delivery/filter.ts'
import { encodeDraft, type MessageDraft } from '../../model/message/encode.ts'
import type { Delivery, ReceiveRequest } from '../../model/ports.ts'
import { eventually } from '../support/waiting.ts'
import { type Content, contentOf, groupsOf, openBroker, topicsOf } from './content.ts'
import { type KeptDataDir, packed, type Release, unpack } from './data-dir.ts'
import { HandClock } from './hand-clock.ts'

/**
 * Writes the data directories that a release leaves behind, with what is in them:
 * `node -C development --import tsx spec/upgrade/write-release.ts spec/fixtures/data-0.1.json`.
 * Run by the release's own code, once; every later version must open the result
 * (`upgrade.spec.ts`).
 */
const WRITTEN_AT_MS = Date.UTC(2026, 10, 20)
const YEARS_MS = 20 * 365 * 86_400_000
const keep = { retention: { ageMs: YEARS_MS } }
const HOUR_MS = 3_600_000

interface Running {
  readonly broker: CoreBroker
  readonly clock: HandClock
}

const names = { sent: 0 }

const send = ({ broker, clock }: Running, topic: string, draft: MessageDraft) => {
  clock.advance(7)
  const messageId = `message-${names.sent++}`
  const context = { messageId, bornAtMs: clock.wallMs() - 3, bornHost: 'writer' }
  return broker.append(topic, encodeDraft(draft, context))
}

const receive = async (
  { broker, clock }: Running,
  request: Partial<ReceiveRequest> & { topic: string; group: string },
): Promise<readonly Delivery[]> => {
  clock.advance(11)
  const defaults = { filter: tagFilter('*'), batchMax: 4, waitMs: 0, invisibleMs: 6 * HOUR_MS }
  const { deliveries } = await broker.receive({ ...defaults, ...request })
  return deliveries
}

const nth = (deliveries: readonly Delivery[], index: number): Delivery => {
  const delivery = deliveries[index]
  if (delivery === undefined) throw new Error(`there is no delivery ${index}`)
  return delivery
}

/** Owners of every kind, used in every way. Returns handles that are still good. */
const use = async (running: Running): Promise<string[]> => {
  const { broker, clock } = running
  const { topics, groups } = broker
  await topics.create('orders', { queues: 2, ...keep })
  await topics.create('steps', { type: 'FIFO', queues: 1, ...keep })
  await topics.create('mixed', { type: 'MIXED', queues: 2, ...keep })
  await topics.create('reminders', { type: 'DELAY', queues: 1, ...keep })
  await topics.create('transfers', { type: 'TRANSACTION', queues: 1, ...keep })
  await topics.create('retired', { queues: 1, ...keep })
  await groups.create('billing', { attemptsMax: 2 })
  await groups.create('retired', {})
  await groups.update('billing', { attemptsMax: 3 })
  for (let count = 0; count < 24; count++) {
    const tag = count % 3 === 0 ? 'paid' : 'open'
    const properties = { region: `r${count % 4}`, Ünïcode: '✓' }
    await send(running, 'orders', { body: `order ${count}`, tag, keys: [`k${count}`], properties })
  }
  for (let count = 0; count < 9; count++)
    await send(running, 'steps', { body: `step ${count}`, messageGroup: `group-${count % 3}` })
  await send(running, 'mixed', { body: 'M'.repeat(150_000), keys: ['large', 'second'] })
  for (let count = 0; count < 5; count++) await send(running, 'mixed', { body: `mixed ${count}` })
  await send(running, 'mixed', { body: 'in order', messageGroup: 'one' })
  await topics.update('mixed', { queues: 3 })
  for (let count = 0; count < 3; count++) await send(running, 'retired', { body: 'r' })
  await receive(running, { topic: 'retired', group: 'retired' })
  await topics.end('retired')
  await groups.end('retired')

  const held: string[] = []
  const billed = await receive(running, { topic: 'orders', group: 'billing', batchMax: 8 })
  for (const index of [0, 1, 4]) await broker.ack(nth(billed, index).handle)
  await broker.extend(nth(billed, 2).handle, 0)
  const extended = await broker.extend(nth(billed, 3).handle, 8 * HOUR_MS)
  held.push(broker.sealHandle(extended), broker.sealHandle(nth(billed, 5).handle))
  await broker.deadLetter(nth(billed, 6).handle, 'it was no order')
  const paid = tagFilter('paid')
  const audited = await receive(running, { topic: 'orders', group: 'audit', filter: paid })
  await broker.ack(nth(audited, 1).handle)
  const stepped = await receive(running, { topic: 'steps', group: 'billing', batchMax: 2 })
  await broker.ack(nth(stepped, 0).handle)
  const renewing = { autoRenew: true, clientId: 'client-1', attemptId: 'attempt-1' }
  await receive(running, { topic: 'mixed', group: 'audit', ...renewing })
  clock.advance(1_000)
  return held
}

const FILLED_BYTES = 11 << 20
const BODY_BYTES = 256 << 10

/** So much that a stretch of the log is trimmed, and what lives in it is carried forward. */
const wear = async (running: Running): Promise<void> => {
  const { broker } = running
  await broker.topics.create('worn', { queues: 1, ...keep })
  for (let bytes = 0; bytes < FILLED_BYTES; bytes += BODY_BYTES)
    await send(running, 'worn', { body: Buffer.alloc(BODY_BYTES, names.sent) })
  await broker.topics.update('worn', { retention: { bytes: 4 * BODY_BYTES } })
  await eventually('a stretch of the log is given back', () => broker.state.space.gaps.length > 0)
}

interface Written {
  readonly handles: readonly string[]
  readonly topics: Content['topics']
  readonly groups: Content['groups']
  readonly files: KeptDataDir['files']
}

type Life = (dataDir: string, clock: HandClock) => Promise<Written>

const seen = ({ broker }: Running) => ({ topics: topicsOf(broker), groups: groupsOf(broker) })

/** Worn, and closed as one should: the index holds everything. */
const closed: Life = async (dataDir, clock) => {
  const first = await openBroker(dataDir, clock, { upkeepRestMs: 20 })
  const handles = await use({ broker: first.broker, clock })
  await wear({ broker: first.broker, clock })
  await first.close()
  const second = await openBroker(dataDir, clock)
  const running = { broker: second.broker, clock }
  await send(running, 'orders', { body: 'after a restart' })
  const found = seen(running)
  await second.close()
  return { ...found, handles, files: await packed(dataDir) }
}

/** Killed: some facts are in the index, later ones only in the log. */
const killed: Life = async (dataDir, clock) => {
  await using opened = await openBroker(dataDir, clock, { upkeepRestMs: 20 })
  const { broker } = opened
  const running = { broker, clock }
  await broker.topics.create('short', { queues: 1, retention: { ageMs: HOUR_MS } })
  for (let count = 0; count < 4; count++) await send(running, 'short', { body: `short ${count}` })
  await receive(running, { topic: 'short', group: 'late', batchMax: 2 })
  const handles = await use(running)
  clock.advance(HOUR_MS / 2)
  await send(running, 'short', { body: 'still young' })
  clock.advance(HOUR_MS / 2)
  const trimmed = () => broker.topics.describe('short').offsets[0]?.offsetMin === 4
  await eventually('retention has removed the old ones', trimmed)
  await broker.upkeep.checkpoint()
  broker.upkeep.stop()
  await broker.topics.create('newest', { queues: 1, ...keep })
  for (let count = 0; count < 6; count++) await send(running, 'orders', { body: `new ${count}` })
  const late = await receive(running, { topic: 'orders', group: 'late', batchMax: 6 })
  await broker.ack(nth(late, 0).handle)
  await broker.ack(nth(late, 3).handle)
  await broker.extend(nth(late, 4).handle, 0)
  await send(running, 'newest', { body: 'the last' })
  await broker.log.flush()
  return { ...seen(running), handles, files: await packed(dataDir) }
}

const write = async (name: string, life: Life): Promise<KeptDataDir> => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-release-'))
  try {
    const clock = new HandClock(WRITTEN_AT_MS)
    const { handles, topics, groups, files } = await life(join(folder, 'data'), clock)
    const wallMs = clock.wallMs()
    await unpack(files, join(folder, 'copy'))
    const later = new HandClock(wallMs)
    await using copy = await openBroker(join(folder, 'copy'), later)
    const content = await contentOf(copy.broker, later)
    if (JSON.stringify([topics, groups]) !== JSON.stringify([content.topics, content.groups]))
      throw new Error(`${name} is not what it was, opened again`)
    return { name, wallMs, content: { ...content, handles }, files }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const release: Release = {
  writtenBy: `glasspost ${VERSION}`,
  dirs: [await write('closed', closed), await write('killed', killed)],
}
await writeFile(process.argv[2] ?? '', `${JSON.stringify(release)}\n`)
