import { createHash } from 'node:crypto'
import { filter, map } from 'rxjs'
import { createActor, fromCallback } from 'xstate'
import { tierMachine } from '../../machines/tier/tier.machine.ts'
import type { LoopDescription } from '../../model/admin.ts'
import type { Residue } from '../../model/ports.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import { type Wake, wakes } from '../../streams/offload/wakes.stream.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { PendingChunk } from '../commit-log/pending-chunk.ts'
import { ClockScheduler } from '../system/clock-scheduler.ts'
import { loopOf } from '../system/loop.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import { LoopClock } from '../system/xstate-clock.ts'
import { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { Allowance } from './allowance.ts'
import { BoundedStore } from './bounded-store.ts'
import { BufferPool } from './buffer-pool.ts'
import type { TierComponents } from './components.ts'
import { dropTopic } from './drop-topic.ts'
import { Janitor } from './janitor.ts'
import { Offloader } from './offloader.ts'
import { slabBytesOf } from './queue-offload.ts'
import { RequestBook } from './request-book.ts'
import { SegmentSource } from './segment-source.ts'
import type { TierSettings } from './settings.ts'
import { TierCosts } from './tier-cost.ts'
import { TierExpiry } from './tier-expiry.ts'
import { TierFacts } from './tier-facts.ts'
import type { TierReader } from './tier-reader.ts'
import { TierTallies } from './tier-tallies.ts'
import { Turns } from './turns.ts'

export interface TierDeps extends ActorSystemDeps {
  readonly tier: TierComponents
  readonly secret: Uint8Array
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly tierReader?: TierReader | undefined
  readonly settings: TierSettings
}

/** Buffers that nobody used for so long go back to the system. */
const BUFFERS_IDLE_MS = 60_000
/** News of a queue is looked at so often at most. */
const GATHER_MS = 100
/** Charts that begin in one turn. */
const CHARTS_A_TURN = 1_000

/** Of a data directory: 16 hex digits that tell nothing of its secret. */
export const namespaceOf = (secret: Uint8Array): string =>
  createHash('sha256').update('glasspost tier namespace').update(secret).digest('hex').slice(0, 16)

/** The way into the tier: who wakes it, who carries, who clears away. */
export class Tier {
  readonly store: ObjectStore
  readonly namespace: string
  readonly pool: BufferPool
  readonly permits: Allowance
  readonly requests: RequestBook
  readonly tallies = new TierTallies()
  readonly costs: TierCosts
  readonly offloader: Offloader
  readonly expiry: TierExpiry
  readonly janitor: Janitor
  readonly #deps: TierDeps
  readonly #facts: TierFacts
  readonly #turns = new Turns()
  readonly #closing = new AbortController()
  readonly #clock: LoopClock
  readonly #actor

  constructor(deps: TierDeps) {
    const { tier, state, log, index, clock, logger, inspect, settings } = deps
    this.#deps = deps
    this.namespace = namespaceOf(deps.secret)
    this.store = new BoundedStore(tier.store, {
      clock,
      requestMs: settings.requestMs,
      signal: this.#closing.signal,
    })
    this.pool = new BufferPool({
      bytesMax: settings.bufferBytes,
      slabBytes: slabBytesOf(settings.segmentBytes),
      idleMs: BUFFERS_IDLE_MS,
      clock,
    })
    this.permits = new Allowance(settings.uploadsMax)
    this.requests = new RequestBook(clock)
    tier.requests?.listen((request) => {
      this.requests.note(request)
      this.tallies.note(request)
    })
    this.costs = new TierCosts({ state, requests: this.requests, settings })
    this.#facts = new TierFacts({ state, log, index })
    const { store, namespace, pool, permits, costs } = this
    const turns = this.#turns
    const shared = { store, namespace, turns, settings, clock, logger, inspect, state, log, index }
    this.offloader = new Offloader({
      ...shared,
      ...{ pool, permits, costs, facts: this.#facts, random: tier.random },
      source: new SegmentSource({ log, clock }),
    })
    this.offloader.offloaded$.subscribe(({ topicId, object }) =>
      this.tallies.noteOffloaded(topicId, object),
    )
    this.expiry = new TierExpiry({ ...shared, tierReader: deps.tierReader })
    const { offloader, expiry } = this
    this.janitor = new Janitor({ ...shared, offloader, expiry })
    this.#clock = new LoopClock(clock)
    this.#actor = this.#createActor()
  }

  start(): void {
    this.#actor.start()
    this.expiry.start()
    this.janitor.start()
  }

  /** Breaks off what is under way; resolves when nothing is and nothing is held. */
  async stop(): Promise<void> {
    this.#actor.send({ type: 'tier.stop' })
    this.#actor.stop()
    this.expiry.stop()
    this.janitor.stop()
    this.#closing.abort(new Error('the broker closes'))
    await this.offloader.stop()
    this.pool.release()
  }

  /** Resolves when nothing of the topic is on its way into the tier. */
  stopTopic(topicId: number): Promise<void> {
    return this.offloader.stopTopic(topicId)
  }

  /** Resolves when nothing of a topic that has ended is in the store, and the log knows. */
  async dropTopic(topic: Topic): Promise<void> {
    const { store, namespace } = this
    this.#deps.tierReader?.drop(topic.topicId)
    await dropTopic({ store, namespace, facts: this.#facts, turns: this.#turns }, topic)
    this.requests.forget(topic.topicId)
    this.tallies.forget(topic.topicId)
  }

  *loops(): Generator<LoopDescription> {
    yield loopOf('tier', this.#actor, this.#clock)
    yield this.expiry.loop
    yield this.janitor.loop
    yield* this.offloader.loops()
  }

  /** Buffers and permits that nobody uses. */
  *residue(): Generator<Residue> {
    if (!this.offloader.isAtRest) return
    const { buffers, bytes, waiters } = this.pool.gauges
    const { users } = this.permits
    const held = { owner: 'tier', kind: 'handle' } as const
    if (buffers > 0) yield { ...held, what: `${buffers} buffers`, bytes }
    if (waiters > 0) yield { ...held, what: `${waiters} wait for a buffer`, bytes: 0 }
    if (users > 0) yield { ...held, what: `${users} permits to upload`, bytes: 0 }
  }

  #createActor() {
    const { clock, logger, inspect, settings, log } = this.#deps
    const machine = tierMachine.provide({
      actors: {
        followNews: fromCallback(({ sendBack }) => {
          const fail = (error: unknown): void => {
            logger.error({ error: String(error) }, 'the tier could not be looked at; it is again')
            sendBack({ type: 'tier.failed', error })
          }
          const news$ = log.committed$.pipe(map((batch) => this.#touchedBy(batch)))
          const { tickMs } = settings
          const options = { gatherMs: GATHER_MS, tickMs, scheduler: new ClockScheduler(clock) }
          const following = wakes(news$.pipe(filter(({ size }) => size > 0)), options).subscribe({
            next: (wake) => {
              const failures = this.#look(wake)
              if (failures.length > 0) fail(failures[0])
              else sendBack({ type: 'tier.looked' })
            },
            error: fail,
          })
          return () => following.unsubscribe()
        }),
      },
    })
    const actor = createActor(machine, {
      id: 'tier',
      systemId: 'tier',
      clock: this.#clock,
      ...(inspect ? { inspect } : {}),
      input: { backoff: settings.backoff },
    })
    actor.subscribe({
      error: (error) => logger.error({ error: String(error) }, 'the tier failed'),
    })
    return actor
  }

  /** Everybody is looked at, whoever fails. */
  #look(wake: Wake<Topic>): readonly unknown[] {
    const failures: unknown[] = []
    const isNews = wake.type === 'news'
    const chartsMax = this.offloader.size + CHARTS_A_TURN
    for (const topic of isNews ? wake.owners : this.#deps.state.topics.values()) {
      // The rest has its turn at the next tick.
      if (this.offloader.size >= chartsMax) break
      try {
        this.offloader.look(topic, { isNews })
      } catch (error) {
        failures.push(error)
      }
    }
    return failures
  }

  #touchedBy(batch: readonly PendingChunk[]): ReadonlySet<Topic> {
    const { topics } = this.#deps.state
    const touched = new Set<Topic>()
    for (const { targets } of batch)
      for (const target of targets) {
        const topicId = target instanceof ConsumeQueue ? target.topicId : undefined
        const topic = topicId === undefined ? undefined : topics.get(topicId)
        if (topic) touched.add(topic)
      }
    return touched
  }
}
