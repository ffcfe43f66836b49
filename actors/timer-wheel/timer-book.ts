import { openSlot } from './deferred-log.ts'
import type { DeferredEntry } from '../../model/deferred/deferred.ts'
import { BrokerError } from '../../model/errors.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import type { Clock } from '../../model/ports.ts'
import type {
  PendingTimer,
  RecallResult,
  TimerPage,
  TimerQuery,
  Timers,
} from '../../model/timer/timers.ts'
import type { DeferredMessage } from '../../storage/codec/deferred-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { Seal } from '../broker/seal.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { Admitted, CommitLog } from '../commit-log/commit-log.ts'
import type { Topic } from '../topic/topic.ts'
import { openDeferred } from './deferred-handle.ts'
import { DeferredList, type DeferredPage } from './deferred-list.ts'
import type { DeferredLog } from './deferred-log.ts'
import type { DeferredStore } from './deferred-store.ts'

export interface TimerBookDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: Clock
  readonly seal: Seal
  readonly store: DeferredStore
  readonly deferred: DeferredLog
  readonly horizonMs: number
}

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1_000
/** Looked at for one page, when most do not match. */
const SCANNED_MAX = 10_000

/** Timers as everybody outside sees them: counted, listed, recalled and changed. */
export class TimerBook implements Timers {
  readonly #deps: TimerBookDeps
  readonly #list: DeferredList

  constructor(deps: TimerBookDeps) {
    this.#deps = deps
    this.#list = new DeferredList(deps.store)
  }

  /** Throws unless a message may be due then. */
  checkDueMs(dueMs: number): void {
    const { clock, horizonMs } = this.#deps
    if (dueMs - clock.wallMs() <= horizonMs) return
    throw new BrokerError('DELIVERY_TIME_ILLEGAL', {
      reason: `it is more than ${horizonMs} ms ahead`,
    })
  }

  count(topic?: string): number {
    const { state, store } = this.#deps
    if (topic === undefined) return store.set.count
    const found = state.topicNamed(topic)
    return found ? (store.set.topics.get(found.topicId)?.count ?? 0) : 0
  }

  async list(query: TimerQuery = {}): Promise<TimerPage> {
    const limit = Math.max(1, Math.min(query.limit ?? LIMIT_DEFAULT, LIMIT_MAX))
    const timers: PendingTimer[] = []
    let after = query.after
    for (let scanned = 0; scanned < SCANNED_MAX; ) {
      const { entries, next } = await this.#entries(query, after, LIMIT_MAX)
      const messages = await this.#deps.store.readListed(entries)
      for (const entry of entries) {
        if (timers.length === limit) return { timers, next: after as string }
        after = `${entry.dueMs}-${entry.id}`
        const timer = this.#timerOf(entry, messages.get(entry.id))
        if (timer && isWanted(timer, query)) timers.push(timer)
      }
      scanned += entries.length
      if (next === undefined) return { timers }
      after = next
    }
    return after === undefined ? { timers } : { timers, next: after }
  }

  async show(timerId: string): Promise<PendingTimer | undefined> {
    const { store } = this.#deps
    const id = idOf(timerId)
    const messages = await store.read([id])
    return store.decide(id, (slot) =>
      slot < 0 ? undefined : this.#timerOf(store.set.table.entry(slot), messages.get(id)),
    )
  }

  async recall(topicName: string, recallHandle: string): Promise<RecallResult> {
    const { seal, state, store, log } = this.#deps
    const handle = openDeferred(seal, 'timer', recallHandle)
    const topic = state.topicNamed(topicName)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: topicName })
    if (handle === undefined || handle.topicId !== topic.topicId) return { outcome: 'invalid' }
    topic.gate.pass()
    const { id, messageId } = handle
    return store.decide(id, async (slot) => {
      if (slot >= 0) {
        await log.whenSynced(this.#deps.deferred.withdraw('timer', [slot], 'withdrawn'))
        return { outcome: 'recalled', messageId }
      }
      const status = store.set.outcomes.status(id, log.storeAtMs())
      // Nobody is told of an end that could still be undone.
      if (store.set.table.slotOf(id) >= 0) await log.flush()
      if (status === 'withdrawn') return { outcome: 'recalled', messageId }
      return { outcome: status === 'released' ? 'delivered' : 'forgotten', messageId }
    })
  }

  cancel(timerId: string): Promise<boolean> {
    const { log, deferred, store } = this.#deps
    return store.decide(idOf(timerId), async (slot) => {
      if (slot < 0) return false
      await log.whenSynced(deferred.withdraw('timer', [slot], 'withdrawn'))
      return true
    })
  }

  async cancelAll(query: TimerQuery): Promise<number> {
    const { index, log, deferred, store } = this.#deps
    let ended = 0
    for (let after: string | undefined; ; ) {
      const page = await this.list({ ...query, limit: LIMIT_MAX, ...(after && { after }) })
      // Under the checkpoint's lock: nothing moves between memory and index meanwhile.
      ended += await index.exclusive(async () => {
        for (const { timerId } of page.timers) await store.bring(Number(timerId))
        const open = page.timers.flatMap(({ timerId, dueAtMs }) => {
          const slot = openSlot(store.set, Number(timerId))
          return slot >= 0 && store.set.table.dueMs[slot] === dueAtMs ? slot : []
        })
        if (open.length === 0) return 0
        await log.whenSynced(deferred.withdraw('timer', open, 'withdrawn'))
        return open.length
      })
      if (page.next === undefined) return ended
      after = page.next
    }
  }

  async reschedule(timerId: string, dueAtMs: number): Promise<PendingTimer> {
    const { log, deferred, store } = this.#deps
    const dueMs = Math.ceil(dueAtMs)
    if (!(dueMs >= 0)) throw new BrokerError('DELIVERY_TIME_ILLEGAL', { reason: 'it is no time' })
    this.checkDueMs(dueMs)
    await store.decide(idOf(timerId), (slot) => {
      const topic = this.#topicOf(slot)
      if (topic === undefined) throw new BrokerError('TIMER_NOT_FOUND', { timerId })
      topic.gate.pass()
      return log.whenSynced(deferred.reschedule(slot, dueMs))
    })
    const shown = await this.show(timerId)
    if (shown === undefined) throw new BrokerError('TIMER_NOT_FOUND', { timerId })
    return shown
  }

  async fire(timerId: string): Promise<void> {
    const { log, deferred, store } = this.#deps
    const id = idOf(timerId)
    const messages = await store.read([id])
    await store.decide(id, (slot) => {
      const topic = this.#topicOf(slot)
      const message = messages.get(id)
      if (topic === undefined || message === undefined)
        throw new BrokerError('TIMER_NOT_FOUND', { timerId })
      topic.gate.passAdding()
      return log.whenSynced(deferred.release('timer', slot, topic, message.message))
    })
  }

  /** It is due: into its topic. Undefined while the topic takes nothing any more. */
  fireDue(slot: number, timer: DeferredMessage): Admitted | undefined {
    const topic = this.#topicOf(slot)
    if (topic?.status !== 'serving' || topic.settings.paused) return undefined
    topic.gate.passAdding()
    return this.#deps.deferred.release('timer', slot, topic, timer.message)
  }

  // ——— inside

  #topicOf(slot: number): Topic | undefined {
    if (slot < 0) return undefined
    const { state, store } = this.#deps
    return state.topics.get(store.set.table.topicId[slot] as number)
  }

  #entries(
    { topic: name, fromMs, toMs }: TimerQuery,
    after: string | undefined,
    limit: number,
  ): Promise<DeferredPage> {
    const { state } = this.#deps
    const topic = name === undefined ? undefined : state.topicNamed(name)
    if (name !== undefined && topic === undefined)
      throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
    return this.#list.page({
      ...(topic && { topicId: topic.topicId }),
      fromMs: fromMs ?? 0,
      toMs: toMs ?? Number.POSITIVE_INFINITY,
      after,
      limit,
    })
  }

  #timerOf(entry: DeferredEntry, found: DeferredMessage | undefined): PendingTimer | undefined {
    const topic = this.#deps.state.topics.get(entry.topicId)
    if (found === undefined || topic === undefined) return undefined
    const { messageId, tag, keys } = decodeSystem(found.message.system)
    return {
      timerId: String(entry.id),
      topic: topic.name,
      messageId,
      tag,
      keys,
      dueAtMs: entry.dueMs,
      scheduledAtMs: found.message.storeAtMs,
      bytes: entry.size,
    }
  }
}

/** -1 when it is none. */
const idOf = (timerId: string): number => (/^\d{1,15}$/.test(timerId) ? Number(timerId) : -1)

const isWanted = (timer: PendingTimer, { key, messageId }: TimerQuery): boolean =>
  (key === undefined || timer.keys.includes(key)) &&
  (messageId === undefined || timer.messageId === messageId)
