import { BrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import type {
  MessageQuery,
  Messages,
  MessageTrace,
  MessageView,
} from '../../model/message/trace.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { loadMessage } from './load-message.ts'
import { viewOf } from './message-view.ts'
import { firstStoredSince } from './queue-search.ts'

export interface StoredMessagesDeps {
  readonly state: BrokerState
  readonly log: CommitLog
}

const LIMIT_DEFAULT = 32
const LIMIT_MAX = 1_000
/** One answer holds no more than this of bodies, and at least one message. */
const ANSWER_BYTES_MAX = 16 << 20

/** Finds stored messages for people. Leases nothing, moves nothing, decides nothing. */
export class StoredMessages implements Messages {
  readonly #deps: StoredMessagesDeps

  constructor(deps: StoredMessagesDeps) {
    this.#deps = deps
  }

  byId(): Promise<readonly MessageView[]> {
    return Promise.reject(new BrokerError('NOT_BUILT', { what: 'a search by message id' }))
  }

  async find(query: MessageQuery): Promise<readonly MessageView[]> {
    if (query.key !== undefined)
      throw new BrokerError('NOT_BUILT', { what: 'a search by message key' })
    const topic = this.#topic(query.topic)
    return topic.gate.hold(() => this.#findByTime(topic, query))
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
        if (message) answer.add(message)
        offset = Math.max(offset + 1, queue.offsetMin)
      }
      return answer.views
    })
  }

  why(): Promise<readonly MessageTrace[]> {
    return Promise.reject(new BrokerError('NOT_BUILT', { what: 'the trace of a message' }))
  }

  /** Merges the queues by store time, each from the first message that is young enough. */
  async #findByTime(
    topic: Topic,
    { fromMs = 0, toMs = Number.POSITIVE_INFINITY, limit }: MessageQuery,
  ): Promise<readonly MessageView[]> {
    const { log } = this.#deps
    const answer = new Answer(limit)
    const heads: Head[] = []
    for (const queue of topic.queues) {
      const offset = await firstStoredSince(log, topic, { queue, sinceMs: fromMs })
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
      if (message) return { queue, message }
      offset = Math.max(offset, queue.offsetMin - 1)
    }
    return undefined
  }

  #load(topic: Topic, queue: ConsumeQueue, offset: number): Promise<StoredMessage | undefined> {
    return loadMessage(this.#deps.log, topic, { queue, offset })
  }

  #topic(name: string): Topic {
    const topic = this.#deps.state.topicNamed(name)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
    return topic
  }
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

/** Views under construction, bounded in number and bytes. */
export class Answer {
  readonly views: MessageView[] = []
  readonly #limit: number
  #bytes = 0

  constructor(limit = LIMIT_DEFAULT) {
    this.#limit = Math.min(Math.max(1, Math.floor(limit)), LIMIT_MAX)
  }

  get isFull(): boolean {
    return this.views.length >= this.#limit || this.#bytes >= ANSWER_BYTES_MAX
  }

  add(message: StoredMessage): void {
    this.views.push(viewOf(message))
    this.#bytes += message.body.length
  }
}
