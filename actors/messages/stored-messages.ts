import { BrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import { madeAtMs } from '../../model/message/message-id.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import type {
  MessageQuery,
  Messages,
  MessageTrace,
  MessageView,
} from '../../model/message/trace.ts'
import type { Clock } from '../../model/ports.ts'
import { storedMessageOf } from '../../storage/codec/message-fact.ts'
import { idHash, keyHash } from '../../storage/codec/message-names.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { TierReader } from '../tier/tier-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { Answer, LIMIT_DEFAULT, LIMIT_MAX } from './answer.ts'
import { LifeReader, type Traced } from './life-reader.ts'
import { loadMessage } from './load-message.ts'
import type { MessageIndex } from './message-index.ts'
import { firstStoredSince } from './queue-search.ts'
import { isShown, messageFactAt, storedAt } from './stored-at.ts'
import { Borders, type FoundInTier, searchTier, type TierSearch } from './tier-search.ts'

export interface StoredMessagesDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly messageIndex: MessageIndex
  readonly tierReader?: TierReader | undefined
  readonly clock: Clock
}

/** A search waits for so much of the log to be read, which takes seconds at most. */
const CATCH_UP_MAX_BYTES = 256 << 20
const SEARCHES_MAX = 8
/** Log that one question reads at most, unless it says how much. */
const WHY_BYTES = 256 << 20
/** Messages of one id whose lives are told. */
const TRACES_MAX = 16

/** Finds stored messages for people. Leases nothing, moves nothing, decides nothing. */
export class StoredMessages implements Messages {
  readonly #deps: StoredMessagesDeps

  constructor(deps: StoredMessagesDeps) {
    this.#deps = deps
  }

  async byId(messageId: string, topicName?: string): Promise<readonly MessageView[]> {
    const topic = topicName === undefined ? undefined : this.#topic(topicName)
    const isWanted = (message: StoredMessage): boolean => {
      if (topic !== undefined && message.topicId !== topic.topicId) return false
      return decodeSystem(message.system).messageId === messageId
    }
    const query = { hash: idHash(messageId) }
    const limit = LIMIT_MAX
    return this.#search({ query, topic, isWanted, limit, madeAtMs: madeAtMs(messageId) })
  }

  async find(query: MessageQuery): Promise<readonly MessageView[]> {
    const topic = this.#topic(query.topic)
    const { key, fromMs = 0, toMs = Number.POSITIVE_INFINITY, limit } = query
    if (key === undefined)
      return topic.gate.hold(() => this.#findByTime(topic, { fromMs, toMs, limit }))
    const { topicId } = topic
    const isWanted = (message: StoredMessage): boolean => {
      const { storeAtMs, system } = message
      if (message.topicId !== topicId || storeAtMs < fromMs || storeAtMs > toMs) return false
      return decodeSystem(system).keys.includes(key)
    }
    const hash = keyHash(topicId, key)
    return this.#search({ query: { hash, fromMs, toMs }, topic, isWanted, limit: limitOf(limit) })
  }

  async peek({
    topic: name,
    queueId,
    fromOffset,
    limit,
  }: Parameters<Messages['peek']>[0]): Promise<readonly MessageView[]> {
    const topic = this.#topic(name)
    const queue = topic.queues[queueId]
    if (queue === undefined) return []
    return topic.gate.hold(async () => {
      const answer = new Answer(limit)
      let offset = Math.max(fromOffset, queue.offsetMin)
      while (offset < queue.offsetMax && !answer.isFull) {
        const message = await this.#load(topic, queue, offset)
        if (message && !queue.isEnded(offset)) answer.add(message)
        offset = Math.max(offset + 1, queue.offsetMin)
      }
      return answer.views
    })
  }

  async why(
    messageId: string,
    topicName?: string,
    { bytesMax = WHY_BYTES }: { readonly bytesMax?: number } = {},
  ): Promise<readonly MessageTrace[]> {
    const topic = topicName === undefined ? undefined : this.#topic(topicName)
    // The newest leases and acknowledgements are on their way to the log.
    await this.#deps.log.flush()
    const traced = await this.#traced(messageId, topic)
    if (traced.length === 0) throw new BrokerError('MESSAGE_NOT_FOUND', { messageId })
    return new LifeReader(this.#deps, traced).read(bytesMax)
  }

  /** Also what is trimmed, as long as its record lies in the log. */
  #traced(messageId: string, topic: Topic | undefined): Promise<readonly Traced[]> {
    const { state, log, messageIndex } = this.#deps
    const isWanted = ({ system }: StoredMessage) => decodeSystem(system).messageId === messageId
    return this.#unmoved(async () => {
      const found = new Map<string, Traced>()
      for await (const position of messageIndex.positionsOf({ hash: idHash(messageId) })) {
        const record = await messageFactAt(log, position)
        const owner = record && state.topics.get(record.fact.topicId)
        if (owner?.status !== 'serving' || !owner.isVisible || (topic ?? owner) !== owner) continue
        const { fact, chunk } = record as NonNullable<typeof record>
        if (decodeSystem(fact.system).messageId !== messageId) continue
        const address = `${fact.topicId}/${fact.queueId}/${fact.queueOffset}`
        if (!found.has(address) && found.size === TRACES_MAX) continue
        const from = Math.min(chunk, fact.carriedFrom?.chunk ?? chunk)
        const message = storedMessageOf(fact, { topic: owner.name, physicalOffset: position })
        found.set(address, { message, from: Math.min(from, found.get(address)?.from ?? from) })
      }
      if (found.size === TRACES_MAX) return [...found.values()]
      const inTier = await this.#inTier({
        ...{ query: { hash: idHash(messageId) }, borders: this.#borders(topic), isWanted },
        ...{ limit: TRACES_MAX - found.size, madeAtMs: madeAtMs(messageId) },
      })
      for (const message of inTier.messages) {
        const address = `${message.topicId}/${message.queueId}/${message.queueOffset}`
        if (!found.has(address)) found.set(address, { message, from: message.physicalOffset })
      }
      checkWide(inTier, madeAtMs(messageId) !== undefined && found.size > 0)
      return [...found.values()]
    })
  }

  /** What the index of the log and the names in the tier name, read and compared. */
  #search({ topic, ...search }: Search): Promise<readonly MessageView[]> {
    const { state, messageIndex } = this.#deps
    const { query, isWanted, limit } = search
    return this.#unmoved(async () => {
      const inTier = await this.#inTier({ ...search, borders: this.#borders(topic) })
      const inLog = new Answer(limit)
      const found: StoredMessage[] = []
      for await (const position of messageIndex.positionsOf(query)) {
        const message = await storedAt(this.#deps, position)
        if (message === undefined || !isShown(state, message) || !isWanted(message)) continue
        inLog.add(message)
        found.push(message)
        if (inLog.isFull) break
      }
      const shown = inTier.messages.filter((message) => isShown(state, message))
      checkWide(inTier, search.madeAtMs !== undefined && shown.length + found.length > 0)
      if (shown.length === 0) return inLog.oldestFirst
      const answer = new Answer(limit)
      for (const message of [...shown, ...found].sort((a, b) => a.storeAtMs - b.storeAtMs))
        if (!answer.isFull) answer.add(message)
      return answer.views
    })
  }

  #borders(topic: Topic | undefined): Borders {
    const topics = topic ? [topic] : [...this.#deps.state.topics.values()]
    return new Borders(topics.filter(({ status, isVisible }) => status === 'serving' && isVisible))
  }

  #inTier(search: TierSearch): Promise<FoundInTier> {
    const { tierReader } = this.#deps
    const nothing = { messages: [], searched: 0, of: 0 }
    return tierReader ? searchTier(tierReader, search) : Promise.resolve(nothing)
  }

  /** Looks when the index has caught up, and again when messages moved meanwhile. */
  async #unmoved<Result>(look: () => Promise<Result>): Promise<Result> {
    const { state, log, messageIndex } = this.#deps
    for (let round = 0; round < SEARCHES_MAX; round++) {
      if (!(await messageIndex.catchUp(CATCH_UP_MAX_BYTES)))
        throw new BrokerError('MESSAGE_INDEX_BEHIND', {
          done: messageIndex.position,
          of: log.syncedOffset,
        })
      const { gaps } = state.space
      const result = await look()
      if (state.space.gaps === gaps) return result
    }
    throw new BrokerError('THROTTLED', { reason: 'the log is being reclaimed' })
  }

  /** Merges the queues by store time, each from the first message that is young enough. */
  async #findByTime(
    topic: Topic,
    { fromMs, toMs, limit }: { fromMs: number; toMs: number; limit: number | undefined },
  ): Promise<readonly MessageView[]> {
    const answer = new Answer(limit)
    const heads: Head[] = []
    for (const queue of topic.queues) {
      const offset = await firstStoredSince(this.#deps, topic, { queue, sinceMs: fromMs })
      const head = await this.#nextHead(topic, queue, offset)
      if (head) heads.push(head)
    }
    while (heads.length > 0 && !answer.isFull) {
      const index = indexOfOldest(heads)
      const { queue, message } = heads[index] as Head
      if (message.storeAtMs > toMs) break
      answer.add(message)
      const next = await this.#nextHead(topic, queue, message.queueOffset + 1)
      if (next) heads[index] = next
      else heads.splice(index, 1)
    }
    return answer.views
  }

  async #nextHead(topic: Topic, queue: ConsumeQueue, from: number): Promise<Head | undefined> {
    for (let offset = from; offset < queue.offsetMax; offset++) {
      const message = await this.#load(topic, queue, offset)
      if (message && !queue.isEnded(offset)) return { queue, message }
      offset = Math.max(offset, queue.offsetMin - 1)
    }
    return undefined
  }

  #load(topic: Topic, queue: ConsumeQueue, offset: number): Promise<StoredMessage | undefined> {
    return loadMessage(this.#deps, topic, { queue, offset })
  }

  #topic(name: string): Topic {
    const topic = this.#deps.state.topicNamed(name)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
    return topic
  }
}

interface Search extends Omit<TierSearch, 'borders'> {
  /** Undefined: every topic. */
  readonly topic: Topic | undefined
}

const limitOf = (limit = LIMIT_DEFAULT): number => Math.min(Math.max(1, limit), LIMIT_MAX)

/** An id that tells when it was made is found where it was: what else has it is left out then. */
const checkWide = ({ searched, of }: FoundInTier, isEnough: boolean): void => {
  if (searched < of && !isEnough) throw new BrokerError('MESSAGE_SEARCH_TOO_WIDE', { searched, of })
}

/** The oldest message of a queue that was not answered yet. */
interface Head {
  readonly queue: ConsumeQueue
  readonly message: StoredMessage
}

const indexOfOldest = (heads: readonly Head[]): number => {
  let oldest = 0
  for (let index = 1; index < heads.length; index++) {
    const { message } = heads[index] as Head
    if (message.storeAtMs < (heads[oldest] as Head).message.storeAtMs) oldest = index
  }
  return oldest
}
