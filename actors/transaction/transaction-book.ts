import { BrokerError } from '../../model/errors.ts'
import { DUE_NEVER_MS, type DeferredEntry } from '../../model/deferred/deferred.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import type { Clock } from '../../model/ports.ts'
import type {
  PendingTransaction,
  TransactionChecker,
  TransactionResolution,
  Transactions,
} from '../../model/transaction/transactions.ts'
import type { DeferredMessage } from '../../storage/codec/deferred-fact.ts'
import { storedMessageOf } from '../../storage/codec/message-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { Seal } from '../broker/seal.ts'
import type { Admitted, CommitLog } from '../commit-log/commit-log.ts'
import { openDeferred, sealDeferred } from '../timer-wheel/deferred-handle.ts'
import { DeferredList } from '../timer-wheel/deferred-list.ts'
import type { DeferredLog } from '../timer-wheel/deferred-log.ts'
import type { DeferredStore } from '../timer-wheel/deferred-store.ts'
import type { Topic } from '../topic/topic.ts'

export interface TransactionSettings {
  /** A producer is asked so long after the send, unless the message says otherwise. */
  readonly checkAfterMs: number
  readonly checkEveryMs: number
  /** Asked so often without an answer, a transaction is parked for an operator. */
  readonly checksMax: number
}

export interface TransactionBookDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly clock: Clock
  readonly seal: Seal
  readonly store: DeferredStore
  readonly deferred: DeferredLog
  readonly settings: TransactionSettings
}

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1_000
const CHECK_BYTES_MAX = 128
/** Checkers of single transactions beyond twice those that are pending. */
const CHECKERS_SPARE = 16

/** Transactions as everybody outside sees them, and the asking of producers. */
export class TransactionBook implements Transactions {
  readonly #deps: TransactionBookDeps
  readonly #list: DeferredList
  readonly #checkers = new Set<TransactionChecker>()
  /** Of single transactions, by their ids. */
  readonly #checkersOf = new Map<number, TransactionChecker>()
  #turn = 0

  constructor(deps: TransactionBookDeps) {
    this.#deps = deps
    this.#list = new DeferredList(deps.store)
  }

  count(topic?: string): number {
    const { state, store } = this.#deps
    if (topic === undefined) return store.set.count
    const found = state.topicNamed(topic)
    return found ? (store.set.topics.get(found.topicId)?.count ?? 0) : 0
  }

  async list(query: Parameters<Transactions['list']>[0] = {}): ReturnType<Transactions['list']> {
    const { state, store } = this.#deps
    const topic = query.topic === undefined ? undefined : state.topicNamed(query.topic)
    if (query.topic !== undefined && topic === undefined)
      throw new BrokerError('TOPIC_NOT_FOUND', { topic: query.topic })
    const { entries, next } = await this.#list.page({
      ...(topic && { topicId: topic.topicId }),
      fromMs: 0,
      toMs: Number.POSITIVE_INFINITY,
      after: query.after,
      limit: Math.max(1, Math.min(query.limit ?? LIMIT_DEFAULT, LIMIT_MAX)),
    })
    const messages = await store.readListed(entries)
    const transactions = entries.flatMap(
      (entry) => this.#pendingOf(entry, messages.get(entry.id)) ?? [],
    )
    return next === undefined ? { transactions } : { transactions, next }
  }

  async end(end: Parameters<Transactions['end']>[0]): Promise<void> {
    const { state, log, seal, store } = this.#deps
    const topic = state.topicNamed(end.topic)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: end.topic })
    topic.gate.pass()
    const { transactionId, messageId, resolution } = end
    const handle = openDeferred(seal, 'transaction', transactionId)
    const unknown = () => new BrokerError('TRANSACTION_NOT_FOUND', { transactionId })
    if (handle?.topicId !== topic.topicId || handle.messageId !== messageId) throw unknown()
    const { id } = handle
    const messages = resolution === 'commit' ? await store.read([id]) : undefined
    await store.decide(id, async (slot) => {
      if (slot >= 0) {
        await log.whenSynced(this.#resolve(topic, slot, messages?.get(id), resolution))
        return
      }
      const status = store.set.outcomes.status(id, log.storeAtMs())
      // Nobody is told of an end that could still be undone.
      if (store.set.table.slotOf(id) >= 0) await log.flush()
      if (status !== (resolution === 'commit' ? 'released' : 'withdrawn')) throw unknown()
    })
  }

  /** How many producers can be asked. */
  get checkers(): number {
    return this.#checkers.size + this.#checkersOf.size
  }

  register(checker: TransactionChecker): () => void {
    const { transactionId } = checker
    if (transactionId === undefined) {
      this.#checkers.add(checker)
      return () => void this.#checkers.delete(checker)
    }
    const id = openDeferred(this.#deps.seal, 'transaction', transactionId)?.id
    if (id === undefined) throw new BrokerError('TRANSACTION_NOT_FOUND', { transactionId })
    this.#forgetEnded()
    this.#checkersOf.set(id, checker)
    return () => void (this.#checkersOf.get(id) === checker && this.#checkersOf.delete(id))
  }

  /** A transaction is overdue: one producer of its topic is asked, or all are asked later. */
  check(slot: number, half: DeferredMessage): Admitted | undefined {
    const { state, log, clock, settings, deferred, store } = this.#deps
    const entry = store.set.table.entry(slot)
    const topic = state.topics.get(entry.topicId)
    if (topic === undefined || topic.status !== 'serving') return undefined
    // A check that could not be counted would be repeated at once.
    if (!log.hasRoom(CHECK_BYTES_MAX))
      throw new BrokerError('THROTTLED', { reason: 'the disk does not keep up' })
    const isAsked = this.#ask(topic, entry, half)
    const checks = isAsked ? entry.checks + 1 : entry.checks
    const nextMs = Math.ceil(clock.wallMs()) + settings.checkEveryMs
    deferred.checked(slot, checks >= settings.checksMax ? DUE_NEVER_MS : nextMs, checks)
    return undefined
  }

  transactionIdOf(entry: DeferredEntry, messageId: string): string {
    return sealDeferred(this.#deps.seal, 'transaction', {
      topicId: entry.topicId,
      id: entry.id,
      dueMs: 0,
      messageId,
    })
  }

  // ——— inside

  /** A transaction may end without its producer: by an operator, a check, the end of its topic. */
  #forgetEnded(): void {
    const { set } = this.#deps.store
    if (this.#checkersOf.size < 2 * set.count + CHECKERS_SPARE) return
    for (const id of this.#checkersOf.keys())
      if (!set.outcomes.isPending(id)) this.#checkersOf.delete(id)
  }

  #resolve(
    topic: Topic,
    slot: number,
    half: DeferredMessage | undefined,
    resolution: TransactionResolution,
  ): Admitted {
    const { clock, deferred } = this.#deps
    if (resolution === 'rollback') return deferred.withdraw('transaction', [slot], 'withdrawn')
    if (half === undefined)
      throw new BrokerError('THROTTLED', { reason: 'the message is being loaded' })
    const { message, deliverAtMs } = half
    if (deliverAtMs > clock.wallMs())
      return deferred.scheduleHalf(slot, topic, message, deliverAtMs)
    return deferred.release('transaction', slot, topic, message)
  }

  /** Its own producer first, then one after the other in turn, until one could be asked. */
  #ask(topic: Topic, entry: DeferredEntry, { message }: DeferredMessage): boolean {
    const able = [...this.#checkers].filter(({ topics }) => topics.has(topic.name))
    const physicalOffset = entry.chunk + entry.at
    const stored = storedMessageOf(message, { topic: topic.name, physicalOffset })
    const { messageId } = decodeSystem(message.system)
    const check = { transactionId: this.transactionIdOf(entry, messageId), message: stored }
    if (this.#checkersOf.get(entry.id)?.check(check)) return true
    const first = this.#turn++
    return able.some((_, index) => able[(first + index) % able.length]?.check(check) === true)
  }

  #pendingOf(
    entry: DeferredEntry,
    half: DeferredMessage | undefined,
  ): PendingTransaction | undefined {
    const topic = this.#deps.state.topics.get(entry.topicId)
    if (half === undefined || topic === undefined) return undefined
    const { messageId } = decodeSystem(half.message.system)
    const isParked = entry.dueMs === DUE_NEVER_MS
    return {
      transactionId: this.transactionIdOf(entry, messageId),
      topic: topic.name,
      messageId,
      preparedAtMs: half.message.storeAtMs,
      checks: entry.checks,
      state: isParked ? 'parked' : 'pending',
      bytes: entry.size,
      ...(isParked ? {} : { nextCheckAtMs: entry.dueMs }),
    }
  }
}
