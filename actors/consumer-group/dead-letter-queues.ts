import { deadLetterTopicOf } from '../../model/addressing/names.ts'
import type {
  DeadLetter,
  DeadLetterQuery,
  DeadLetterQueue,
} from '../../model/delivery/administration.ts'
import { pushOffset } from '../../model/delivery/facts.ts'
import { BrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import type { Messages } from '../../model/message/trace.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import { loadMessage } from '../messages/load-message.ts'
import { viewOf } from '../messages/message-view.ts'
import type { Topic } from '../topic/topic.ts'
import { trim, type TrimDeps } from '../upkeep/trim.ts'
import { isThere, type Letter } from './letter.ts'
import { redriveLetters } from './redrive.ts'

export interface DeadLetterQueuesDeps extends TrimDeps {
  readonly messages: Messages
}

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1_000
/** Letters that are sent back in one admission, in number and in bytes. */
const BATCH_LETTERS = 32
const BATCH_BYTES = 1 << 20
/** Units in one trim, as in retention. */
const TRIM_UNITS = 16_384

/**
 * The dead-letter topics as operators use them. Letters end without a consumer group: one that
 * was sent back or purged is ended in its queue by a durable fact, and trimmed as soon as all
 * before it have ended.
 */
export class DeadLetterQueues implements DeadLetterQueue {
  readonly #deps: DeadLetterQueuesDeps

  constructor(deps: DeadLetterQueuesDeps) {
    this.#deps = deps
  }

  async list(
    group: string,
    { limit = LIMIT_DEFAULT, after }: DeadLetterQuery = {},
  ): Promise<{ readonly deadLetters: readonly DeadLetter[]; readonly next?: string }> {
    const topic = this.#topicOf(group)
    if (topic === undefined) return { deadLetters: [] }
    const most = Math.min(Math.max(1, Math.floor(limit)), LIMIT_MAX)
    const from = placeOf(group, after)
    return topic.gate.hold(async () => {
      const deadLetters: DeadLetter[] = []
      for await (const { message } of this.#letters(topic, endsOf(topic), from)) {
        if (deadLetters.length === most)
          return { deadLetters, next: `${message.queueId}:${message.queueOffset}` }
        deadLetters.push(deadLetterOf(message))
      }
      return { deadLetters }
    })
  }

  async redrive(group: string, messageIds?: readonly string[]): Promise<number> {
    const topic = this.#topicOf(group)
    if (topic === undefined) return 0
    const { state, log, index } = this.#deps
    let redriven = 0
    const origins = new Set<string>()
    await topic.gate.hold(async () => {
      for await (const batch of this.#batches(topic, messageIds)) {
        const done = await index.exclusive(() => redriveLetters({ state, log }, topic, batch))
        redriven += done.redriven
        for (const origin of done.missing) origins.add(origin)
      }
      await this.#trimEnded(topic)
    })
    const [missing] = origins
    if (missing === undefined) return redriven
    if (redriven === 0) throw new BrokerError('TOPIC_NOT_FOUND', { topic: missing })
    this.#deps.logger.warn(
      { group, topics: [...origins] },
      'dead letters stay whose topic of origin does not exist',
    )
    return redriven
  }

  async purge(group: string, messageIds?: readonly string[]): Promise<number> {
    const topic = this.#topicOf(group)
    if (topic === undefined) return 0
    return topic.gate.hold(() =>
      messageIds === undefined ? this.#purgeAll(topic) : this.#purgeSome(topic, messageIds),
    )
  }

  async #purgeAll(topic: Topic): Promise<number> {
    let purged = 0
    for (const queue of topic.queues) {
      const end = queue.offsetMax
      while (queue.offsetMin < end) {
        topic.gate.pass()
        const before = queue.messages
        const offset = Math.min(end, queue.offsetMin + TRIM_UNITS)
        await trim(this.#deps, topic, queue, offset)
        purged += Math.max(0, before - queue.messages)
      }
    }
    return purged
  }

  async #purgeSome(topic: Topic, messageIds: readonly string[]): Promise<number> {
    let purged = 0
    for await (const batch of this.#batches(topic, messageIds))
      purged += await this.#deps.index.exclusive(() => this.#endLetters(topic, batch))
    await this.#trimEnded(topic)
    return purged
  }

  /** As a trim: in force when synced, and no checkpoint is written before. */
  async #endLetters(topic: Topic, letters: readonly Letter[]): Promise<number> {
    const { state, log } = this.#deps
    let ended = 0
    for (const queue of topic.queues) {
      const offsets = new Set(
        letters
          .filter((letter) => letter.queue === queue && isThere(letter))
          .map(({ message }) => message.queueOffset),
      )
      if (offsets.size === 0) continue
      const runs: number[] = []
      for (const offset of [...offsets].sort((a, b) => a - b)) pushOffset(runs, offset)
      const { topicId } = topic
      const fact = { type: 'lettersEnded', topicId, queueId: queue.queueId, runs } as const
      const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
        synced: () => state.foldRegistry(fact, admitted.chunk.offset + admitted.at),
      })
      await log.whenSynced(admitted)
      ended += offsets.size
    }
    return ended
  }

  async #trimEnded(topic: Topic): Promise<void> {
    for (const queue of topic.queues)
      while (queue.offsetFirst > queue.offsetMin) {
        topic.gate.pass()
        const offset = Math.min(queue.offsetFirst, queue.offsetMin + TRIM_UNITS)
        await trim(this.#deps, topic, queue, offset)
      }
  }

  /** What is there now: letters that come back meanwhile are left alone. */
  async *#batches(topic: Topic, messageIds?: readonly string[]): AsyncGenerator<Letter[]> {
    let batch: Letter[] = []
    let bytes = 0
    const letters =
      messageIds === undefined
        ? this.#letters(topic, endsOf(topic))
        : this.#lettersById(topic, messageIds)
    for await (const letter of letters) {
      batch.push(letter)
      bytes += letter.message.body.length
      if (batch.length < BATCH_LETTERS && bytes < BATCH_BYTES) continue
      topic.gate.pass()
      yield batch
      batch = []
      bytes = 0
    }
    if (batch.length > 0) yield batch
  }

  async *#letters(
    topic: Topic,
    ends: readonly number[],
    from = { queueId: 0, queueOffset: 0 },
  ): AsyncGenerator<Letter> {
    for (const queue of topic.queues) {
      if (queue.queueId < from.queueId) continue
      const first = queue.queueId === from.queueId ? from.queueOffset : 0
      let offset = Math.max(first, queue.offsetMin)
      for (; offset < (ends[queue.queueId] ?? 0); offset = Math.max(offset + 1, queue.offsetMin)) {
        if (queue.isEnded(offset)) continue
        const message = await loadMessage(this.#deps, topic, { queue, offset })
        if (message) yield { queue, message }
      }
    }
  }

  async *#lettersById(topic: Topic, messageIds: readonly string[]): AsyncGenerator<Letter> {
    const { messages } = this.#deps
    for (const messageId of new Set(messageIds))
      for (const { queueId, queueOffset: offset } of await messages.byId(messageId, topic.name)) {
        const queue = topic.queues[queueId]
        const message = queue && (await loadMessage(this.#deps, topic, { queue, offset }))
        if (message) yield { queue, message }
      }
  }

  /** Undefined while the group has never had a dead letter. */
  #topicOf(group: string): Topic | undefined {
    const { state } = this.#deps
    const topic = state.topicNamed(deadLetterTopicOf(group))
    if (topic === undefined && state.groupNamed(group) === undefined)
      throw new BrokerError('GROUP_NOT_FOUND', { group })
    return topic
  }
}

const endsOf = (topic: Topic): number[] => topic.queues.map(({ offsetMax }) => offsetMax)

const placeOf = (group: string, after: string | undefined) => {
  if (after === undefined) return { queueId: 0, queueOffset: 0 }
  const [, queueId, queueOffset] = /^(\d{1,9}):(\d{1,15})$/.exec(after) ?? []
  if (queueId === undefined || queueOffset === undefined)
    throw new BrokerError('SETTINGS_ILLEGAL', {
      name: 'after',
      reason: `'${after}' is no place in the dead letters of ${group}`,
    })
  return { queueId: Number(queueId), queueOffset: Number(queueOffset) }
}

const deadLetterOf = (message: StoredMessage): DeadLetter => {
  const { messageId, origin, properties, body } = viewOf(message)
  return {
    messageId,
    queueId: message.queueId,
    queueOffset: message.queueOffset,
    storeAtMs: message.storeAtMs,
    originTopic: origin?.topic ?? '',
    originMessageId: origin?.messageId ?? '',
    reason: properties['DLQ_REASON'] ?? '',
    bytes: body.length,
  }
}
