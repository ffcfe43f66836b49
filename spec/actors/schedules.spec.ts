import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { tagFilter } from '../../model/delivery/filter.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import type { MissedRuns } from '../../model/schedule/schedules.ts'
import { type Life, Lives, tinySettings } from '../simulation/lives.ts'
import { holds } from '../support/property.ts'

/** Repeating schedules through power cuts, failing writes and stops, on slow writes. */
const Schedules = suite('schedules through crashes')

const EVERY_MS = 10_000
const WRITE_MS = 40
/** From the time of a run to its message in the topic, with writes that fail meanwhile. */
const LATE_MS_MAX = 4_000
/** Longer than any back-off: what failed has been tried again. */
const CALM_MS = 60_000

type Step =
  | { readonly type: 'pass'; readonly ms: number }
  /** To somewhere around the next run, where crashes hurt most. */
  | { readonly type: 'approach'; readonly ms: number }
  | { readonly type: 'cutPower'; readonly seed: number; readonly downMs: number }
  | { readonly type: 'restart'; readonly downMs: number }
  | { readonly type: 'failWrites'; readonly count: number }

const downMs = fc.oneof(fc.constant(0), fc.nat(45_000))
const aStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant('pass' as const), ms: fc.nat(25_000) }),
  fc.record({ type: fc.constant('approach' as const), ms: fc.integer({ min: -60, max: 400 }) }),
  fc.record({ type: fc.constant('cutPower' as const), seed: fc.nat(), downMs }),
  fc.record({ type: fc.constant('restart' as const), downMs }),
  fc.record({ type: fc.constant('failWrites' as const), count: fc.integer({ min: 1, max: 3 }) }),
)

interface Run {
  readonly atMs: number
  readonly storedAtMs: number
}

class World {
  readonly lives = new Lives(1, tinySettings, () => {})
  /** When no broker ran, in the order in which it happened. */
  readonly down: { readonly fromMs: number; readonly toMs: number }[] = []
  startMs = 0
  life!: Life

  static async open(missed: MissedRuns): Promise<World> {
    const world = new World()
    world.life = await world.lives.open()
    world.lives.place.slowWrites('commit-log', WRITE_MS)
    await world.until(world.broker.topics.create('runs', { queues: 1, type: 'DELAY' }))
    world.startMs = world.clock.wallMs()
    const options = { topic: 'runs', every: EVERY_MS, fromMs: world.startMs, missed }
    const message = { body: 'x' }
    await world.until(world.broker.schedules.create('pulse', { ...options, message }))
    return world
  }

  get clock() {
    return this.lives.clock
  }

  get broker() {
    return this.life.broker
  }

  until<Result>(work: Promise<Result>): Promise<Result> {
    return this.clock.until(work)
  }

  async take(step: Step): Promise<void> {
    switch (step.type) {
      case 'pass':
        return this.clock.advance(step.ms)
      case 'approach': {
        const sinceMs = (this.clock.wallMs() - this.startMs) % EVERY_MS
        return this.clock.advance(Math.max(0, EVERY_MS - sinceMs + step.ms))
      }
      case 'cutPower': {
        const fromMs = this.clock.wallMs()
        this.life.die()
        this.lives.place.crash(step.seed)
        this.lives.place.heal()
        return this.#comeBack(fromMs, step.downMs)
      }
      case 'restart': {
        this.lives.place.heal()
        await this.until(this.broker.close())
        const fromMs = this.clock.wallMs()
        this.life.die()
        return this.#comeBack(fromMs, step.downMs)
      }
      case 'failWrites':
        return this.lives.place.failWrites('commit-log', { error: 'EIO', count: step.count })
    }
  }

  /** Everything has happened that had to; what came, in the order of runs. */
  async runs(): Promise<Run[]> {
    this.lives.place.heal()
    await this.clock.advance(CALM_MS)
    const runs: Run[] = []
    for (;;) {
      const request = { topic: 'runs', group: 'readers', filter: tagFilter('*') }
      const { deliveries } = await this.until(
        this.broker.receive({ ...request, batchMax: 32, invisibleMs: 3_600_000, waitMs: 0 }),
      )
      if (deliveries.length === 0) break
      for (const { message } of deliveries) {
        const [, at = ''] = /pulse@([-0-9T:.]+Z)/.exec(Buffer.from(message.system).toString()) ?? []
        runs.push({ atMs: Date.parse(at), storedAtMs: message.storeAtMs })
      }
    }
    return runs.sort((a, b) => a.atMs - b.atMs)
  }

  async #comeBack(fromMs: number, forMs: number): Promise<void> {
    await this.clock.advance(forMs)
    this.life = await this.lives.open()
    this.lives.place.slowWrites('commit-log', WRITE_MS)
    this.down.push({ fromMs, toMs: this.clock.wallMs() })
  }
}

const delayMessage = () =>
  encodeDraft(
    { body: Buffer.alloc(500), deliverAtMs: 0 },
    { messageId: 'filler', bornAtMs: 1, bornHost: '' },
  )

/** Whatever the policy: on the grid, never twice, never early, one planned, nothing left over. */
const assertSound = async (world: World, runs: readonly Run[]): Promise<void> => {
  const times = runs.map(({ atMs }) => atMs)
  assert.equal(times, [...new Set(times)], 'a run came twice')
  for (const { atMs, storedAtMs } of runs) {
    assert.is((atMs - world.startMs) % EVERY_MS, 0)
    assert.ok(storedAtMs >= atMs, `the run of ${atMs} came at ${storedAtMs}`)
  }
  assert.is(world.broker.timers.count('runs'), 1)
  const { nextRunAtMs = 0 } = world.broker.schedules.describe('pulse')
  assert.ok(nextRunAtMs > world.clock.wallMs() - LATE_MS_MAX)
}

const play = (missed: MissedRuns, check: (world: World, runs: readonly Run[]) => void) =>
  holds(
    fc.asyncProperty(fc.array(aStep, { minLength: 1, maxLength: 12 }), async (steps) => {
      const world = await World.open(missed)
      for (const step of steps) await world.take(step)
      const runs = await world.runs()
      await assertSound(world, runs)
      check(world, runs)
      await world.until(world.broker.close())
    }),
    { runs: 60 },
  )

Schedules('no run is lost: of those that were missed, the first is made up for', () =>
  play('once', (world, runs) => {
    let before: Run = { atMs: world.startMs, storedAtMs: world.startMs }
    const nextMsMax = () => Math.max(before.atMs, before.storedAtMs + LATE_MS_MAX) + EVERY_MS
    for (const run of runs) {
      const gap = `after ${before.atMs} (at ${before.storedAtMs}) came ${run.atMs}`
      assert.ok(run.atMs <= nextMsMax(), gap)
      before = run
    }
    assert.ok(nextMsMax() > world.clock.wallMs() - LATE_MS_MAX, 'the last runs are missing')
  }),
)

Schedules('that skip what they missed skip that alone', () =>
  play('skip', (world, runs) => {
    const came = new Set(runs.map(({ atMs }) => atMs))
    const endMs = world.clock.wallMs() - LATE_MS_MAX
    for (let atMs = world.startMs + EVERY_MS; atMs < endMs; atMs += EVERY_MS) {
      const wasDown = world.down.some(
        ({ fromMs, toMs }) => atMs > fromMs - LATE_MS_MAX && atMs <= toMs,
      )
      assert.ok(wasDown || came.has(atMs), `${atMs} is lost`)
      const isDeep = world.down.some(({ fromMs, toMs }) => atMs > fromMs && atMs <= toMs)
      if (isDeep) assert.not(came.has(atMs), `${atMs} was missed, and came`)
    }
  }),
)

Schedules('a crash behind a run and before the next plans that at the next start', async () => {
  const world = await World.open('once')
  const { place } = world.lives
  await world.clock.advance(1_000)
  place.slowWrites('commit-log', 0)
  place.hangWrites('commit-log')
  // Sends fill their share of the buffer: a cancellation still goes in, the next run does not.
  const sends: Promise<unknown>[] = []
  for (let isFull = false; !isFull; )
    try {
      sends.push(world.broker.append('runs', delayMessage()).catch(() => undefined))
    } catch {
      isFull = true
    }
  const { timerId = '' } = world.broker.schedules.describe('pulse')
  void world.broker.timers.cancel(timerId)
  await world.clock.settle()
  assert.is(world.broker.schedules.describe('pulse').nextRunAtMs, undefined)
  place.resumeWrites('commit-log')
  await world.clock.until(world.broker.log.flush())
  assert.is(world.broker.schedules.describe('pulse').nextRunAtMs, undefined)
  await world.take({ type: 'cutPower', seed: 1, downMs: 0 })
  const { nextRunAtMs } = world.broker.schedules.describe('pulse')
  assert.is(nextRunAtMs, world.startMs + 2 * EVERY_MS)
  await world.until(world.broker.close())
})

Schedules.run()
