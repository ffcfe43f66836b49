import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../model/errors.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import type { SendReceipt } from '../../model/ports.ts'
import { type Life, Lives, tinySettings } from '../simulation/lives.ts'

const TOPIC = 'orders'
const FAR_MS = 10_000_000

const MEMORY_MS = 100_000
const settings = {
  ...tinySettings,
  timers: { ...tinySettings.timers, recallMemoryMs: MEMORY_MS },
}

const bornBy = { bornAtMs: 1, bornHost: 'here' }
const draft = (messageId: string, bytes = 10) =>
  encodeDraft({ body: 'x'.repeat(bytes) }, { messageId, ...bornBy })

/** A log in which some extents stay and others go, and an index that can be lost. */
class Bench {
  readonly lives = new Lives(1, settings, () => {})
  life!: Life

  static async open(): Promise<Bench> {
    const bench = new Bench()
    bench.life = await bench.lives.open()
    await bench.until(bench.broker.topics.create(TOPIC, { type: 'MIXED', queues: 1 }))
    return bench
  }

  get broker() {
    return this.life.broker
  }

  get nowMs(): number {
    return this.lives.clock.wallMs()
  }

  until<Result>(work: Promise<Result>): Promise<Result> {
    return this.lives.clock.until(work)
  }

  /** An extent of timers that wait for long, or that were recalled. */
  async fill(becomes: 'alive' | 'dead'): Promise<void> {
    const { extentBytes } = this.broker.state.space
    const untilAt = this.broker.log.position + extentBytes
    while (this.broker.log.position < untilAt) {
      const { recallHandle = '' } = await this.schedule('filling', this.nowMs + FAR_MS, 200)
      if (becomes === 'dead') await this.until(this.broker.timers.recall(TOPIC, recallHandle))
    }
  }

  schedule(messageId: string, deliverAtMs: number, bytes?: number) {
    const message = { ...draft(messageId, bytes), type: 'DELAY', deliverAtMs } as const
    return this.until(this.broker.append(TOPIC, message))
  }

  isReclaimed(position: number): boolean {
    return this.broker.state.space.isGap(position, position + 1)
  }

  async timer(messageId: string) {
    const { timers } = await this.until(this.broker.timers.list({ messageId }))
    assert.is(timers.length, 1, messageId)
    const [timer] = timers
    return { timerId: timer?.timerId ?? '', dueAtMs: timer?.dueAtMs ?? 0 }
  }

  /** What is left is what the last checkpoint says, and the log behind it. */
  async crash(): Promise<void> {
    this.life.die()
    this.lives.place.crash(1)
    this.life = await this.lives.open()
    await this.lives.clock.settle()
  }

  /** What is left is what the log says. */
  async rebuild(): Promise<void> {
    await this.until(this.broker.close())
    this.life.die()
    const index = await this.until(this.lives.place.openDatabase('index'))
    await this.until(index.clear({}))
    await this.until(index.close())
    this.life = await this.lives.open()
    await this.lives.clock.settle()
  }
}

const CarriedTimers = suite('timers of a log that is reclaimed')

CarriedTimers(
  'stay due when they were rescheduled to, although the log forgets where',
  async () => {
    const bench = await Bench.open()
    const startMs = bench.nowMs
    const written = bench.broker.log.chunkStart
    await bench.schedule('put off', startMs + 60_000)
    await bench.schedule('hurried', startMs + FAR_MS)
    await bench.fill('alive')
    await bench.fill('dead')
    const dueMs = { 'put off': startMs + FAR_MS, hurried: startMs + 90_000 }
    const moved = bench.broker.log.chunkStart
    for (const [messageId, atMs] of Object.entries(dueMs)) {
      const { timerId } = await bench.timer(messageId)
      await bench.until(bench.broker.timers.reschedule(timerId, atMs))
    }
    await bench.fill('dead')
    await bench.fill('dead')
    await bench.lives.clock.advance(20_000)
    assert.ok(bench.isReclaimed(moved), 'where they were rescheduled is gone')
    assert.not(bench.isReclaimed(written), 'where they were scheduled is not')
    for (let life = 0; life < 2; life++) {
      await bench.rebuild()
      for (const [messageId, atMs] of Object.entries(dueMs))
        assert.is((await bench.timer(messageId)).dueAtMs, atMs, messageId)
    }
    await bench.lives.clock.advance(startMs + 90_000 - bench.nowMs - 1)
    assert.is(bench.broker.topics.describe(TOPIC).messages, 0)
    await bench.lives.clock.advance(1_000)
    assert.is(bench.broker.topics.describe(TOPIC).messages, 1)
  },
)

CarriedTimers('are half messages of which it is known how often they were asked for', async () => {
  const bench = await Bench.open()
  bench.broker.transactions.register({ topics: new Set([TOPIC]), check: () => true })
  const half = { ...draft('half'), type: 'TRANSACTION' } as const
  const written = bench.broker.log.chunkStart
  await bench.until(bench.broker.append(TOPIC, half))
  await bench.fill('alive')
  await bench.fill('dead')
  const asked = bench.broker.log.chunkStart
  await bench.lives.clock.advance(7_000)
  const list = async () => (await bench.until(bench.broker.transactions.list())).transactions
  const before = await list()
  assert.is(before[0]?.checks, 1)
  await bench.fill('dead')
  await bench.fill('dead')
  await bench.lives.clock.advance(20_000)
  assert.ok(bench.isReclaimed(asked), 'where it is written that somebody was asked is gone')
  assert.not(bench.isReclaimed(written), 'where the message is written is not')
  await bench.rebuild()
  assert.equal(await list(), before)
})

CarriedTimers('are listed, shown and fired although they move while they are read', async () => {
  const bench = await Bench.open()
  await bench.fill('dead')
  const written = bench.broker.log.chunkStart
  await bench.schedule('moving', bench.nowMs + FAR_MS)
  const half = { ...draft('half'), type: 'TRANSACTION', checkAfterMs: FAR_MS } as const
  await bench.until(bench.broker.append(TOPIC, half))
  await bench.fill('dead')
  await bench.fill('dead')
  const { timers, transactions, log } = bench.broker
  const { timerId } = await bench.timer('moving')
  await bench.until(bench.broker.upkeep.checkpoint())

  // Reads wait until what they look for is somewhere else.
  const load = log.load.bind(log)
  let isReclaimed = (): void => {}
  const reclaimed = new Promise<void>((resolve) => {
    isReclaimed = resolve
  })
  log.cached = () => undefined
  log.load = async (chunk) => {
    await reclaimed
    return load(chunk)
  }
  const listed = timers.list({ messageId: 'moving' })
  const shown = timers.show(timerId)
  const halves = transactions.list()
  const fired = timers.fire(timerId)
  await bench.lives.clock.advance(20_000)
  assert.ok(bench.isReclaimed(written))
  await bench.until(bench.broker.upkeep.checkpoint())
  isReclaimed()
  assert.is((await bench.until(listed)).timers.length, 1)
  assert.is((await bench.until(halves)).transactions.length, 1)
  assert.is((await bench.until(shown))?.messageId, 'moving')
  await bench.until(fired)
  assert.is(bench.broker.topics.describe(TOPIC).messages, 1)
})

CarriedTimers('are listed and fired before it is on disk where they moved to', async () => {
  const bench = await Bench.open()
  await bench.fill('dead')
  await bench.schedule('moving', bench.nowMs + FAR_MS)
  const { timers, log, state } = bench.broker
  const { timerId } = await bench.timer('moving')
  await bench.fill('dead')
  await bench.fill('dead')
  bench.lives.place.slowWrites('commit-log', 500)
  const { table } = state.deferred.timer
  const isUnderWay = () => {
    const slot = table.slotOf(Number(timerId))
    return slot >= 0 && (table.chunk[slot] as number) >= log.syncedOffset
  }
  for (let step = 0; step < 2_000 && !isUnderWay(); step++) await bench.lives.clock.advance(10)
  assert.ok(isUnderWay())
  const listed = timers.list({ messageId: 'moving' })
  const fired = timers.fire(timerId)
  assert.is((await bench.until(listed)).timers.length, 1)
  await bench.until(fired)
  assert.is(bench.broker.topics.describe(TOPIC).messages, 1)
})

CarriedTimers('have ids that nothing gets again, although nobody remembers them', async () => {
  const bench = await Bench.open()
  const half = (id: string) =>
    ({ ...draft(id, 1_500), type: 'TRANSACTION', checkAfterMs: FAR_MS }) as const
  const send = (id: string) => bench.until(bench.broker.append(TOPIC, half(id)))
  const resolve = ({ transactionId = '', messageId }: SendReceipt) => {
    const end = { topic: TOPIC, transactionId, messageId, resolution: 'rollback' } as const
    return bench.until(bench.broker.transactions.end(end))
  }
  const written = bench.broker.log.chunkStart
  const old = await send('old half')
  await resolve(old)
  const { recallHandle = '' } = await bench.schedule('old', bench.nowMs + FAR_MS, 1_500)
  const recall = () => bench.until(bench.broker.timers.recall(TOPIC, recallHandle))
  assert.is((await recall()).outcome, 'recalled')
  await bench.lives.clock.advance(MEMORY_MS + MEMORY_MS / 10)
  const { extentBytes } = bench.broker.state.space
  const message = (body: string) => encodeDraft({ body }, { messageId: 'm', ...bornBy })
  for (let sent = 0; sent < 2 * extentBytes; sent += 400)
    await bench.until(bench.broker.append(TOPIC, message('x'.repeat(400))))
  await bench.lives.clock.advance(20_000)
  assert.ok(bench.isReclaimed(written))

  await bench.rebuild()
  await bench.until(bench.broker.upkeep.checkpoint())
  await bench.lives.clock.advance(20_000)
  await bench.crash()
  await send('new half')
  await bench.schedule('new', bench.nowMs + FAR_MS)
  const refusal = await resolve(old).catch((error: unknown) => error)
  assert.ok(isBrokerError(refusal, 'TRANSACTION_NOT_FOUND'))
  assert.is((await recall()).outcome, 'forgotten')
  assert.equal([bench.broker.transactions.count(), bench.broker.timers.count()], [1, 1])
})

CarriedTimers.run()
