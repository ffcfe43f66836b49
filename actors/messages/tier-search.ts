import type { PlacedSection } from '../../machines/tier/topic-tier.ts'
import { isBrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import { HeldFrames } from '../tier/held-frames.ts'
import type { TierReader } from '../tier/tier-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { ANSWER_BYTES_MAX } from './answer.ts'
import type { NameQuery } from './message-index.ts'

/** Sections that are looked into together. */
const SECTIONS_AT_ONCE = 8
/** A request takes as long as reading so much. */
const REQUEST_BYTES = 64 << 10
/** Clocks of producers are that far ahead of ours at most, or their messages are found later. */
const AHEAD_MS = 3_600_000

/**
 * Up to which offset each queue is searched in the tier: what lies beyond is in the log, and is
 * found there afterwards: a record stays for a while, and when it is reclaimed all begins anew.
 */
export class Borders {
  readonly #borders = new Map<ConsumeQueue, number>()
  readonly #topics: readonly Topic[]

  constructor(topics: Iterable<Topic>) {
    this.#topics = [...topics].filter(({ tier }) => tier.isBegun)
    for (const { queues } of this.#topics)
      for (const queue of queues)
        if (queue.localMin > queue.offsetMin) this.#borders.set(queue, queue.localMin)
  }

  /** Sections that hold messages stored in `[fromMs, toMs]`, those that begin first in front. */
  sections({ fromMs = 0, toMs = Number.POSITIVE_INFINITY }: Partial<NameQuery>): Place[] {
    const places: Place[] = []
    for (const topic of this.#topics)
      for (const queue of topic.queues) {
        const to = this.#borders.get(queue)
        if (to === undefined) continue
        for (const section of topic.tier.sectionsOf(queue.queueId))
          if (section.from < to && section.lastMs >= fromMs && section.firstMs <= toMs)
            places.push({ topic, section, to })
      }
    return places.sort((a, b) => a.section.firstMs - b.section.firstMs)
  }
}

interface Place {
  readonly topic: Topic
  readonly section: PlacedSection
  /** One past the last offset that is searched. */
  readonly to: number
}

export interface TierSearch {
  readonly borders: Borders
  readonly query: NameQuery
  readonly isWanted: (message: StoredMessage) => boolean
  readonly limit: number
  /** When the messages were made, where their name says so: they are looked for there first. */
  readonly madeAtMs?: number | undefined
}

export interface FoundInTier {
  readonly messages: readonly StoredMessage[]
  /** Sections that were looked into, and of how many. Fewer than all: the search was too wide. */
  readonly searched: number
  readonly of: number
}

/**
 * Messages in the tier by a name, the oldest first: reads the names of every section that may hold
 * one, up to the bound of a search, and the messages that they point to, as many as can belong to
 * the answer.
 */
export const searchTier = async (reader: TierReader, search: TierSearch): Promise<FoundInTier> => {
  const { limit, madeAtMs } = search
  const places = inOrder(search.borders.sections(search.query), madeAtMs)
  let messages: StoredMessage[] = []
  let left = reader.searchBytes
  for (let first = 0; first < places.length; first += SECTIONS_AT_ONCE) {
    const last = messages.at(-1)
    const isFull = messages.length >= limit || bytesOf(messages) >= ANSWER_BYTES_MAX
    const next = places[first] as Place
    const isOver = isFull && madeAtMs === undefined && next.section.firstMs > (last?.storeAtMs ?? 0)
    if (isOver) break
    const together = places.slice(first, first + SECTIONS_AT_ONCE)
    for (const { section } of together) left -= Math.max(section.namesBytes, REQUEST_BYTES)
    if (left < 0) return { messages, searched: first, of: places.length }
    const more = await Promise.all(together.map((place) => searchSection(reader, place, search)))
    messages = oldest([...messages, ...more.flat()], limit)
  }
  return { messages, searched: places.length, of: places.length }
}

/** What was stored since they were made, and then the rest: a clock may have been far ahead. */
const inOrder = (places: readonly Place[], madeAtMs = 0): readonly Place[] => {
  const isLikely = ({ section }: Place): boolean => section.lastMs >= madeAtMs - AHEAD_MS
  return [...places.filter(isLikely), ...places.filter((place) => !isLikely(place))]
}

const searchSection = async (
  reader: TierReader,
  { topic, section, to }: Place,
  { query, isWanted, limit }: TierSearch,
): Promise<StoredMessage[]> => {
  const ref = { topicId: topic.topicId, section }
  const found: StoredMessage[] = []
  const frames = new HeldFrames(reader, topic)
  try {
    const names = await reader.names(ref)
    let bytes = 0
    for (const distance of names.find(query.hash)) {
      const offset = section.from + distance
      if (offset >= to || found.length >= limit || bytes >= ANSWER_BYTES_MAX) break
      const message = frames.message(await reader.loadFrame(ref, offset), offset)
      if (!isWanted(message)) continue
      found.push(detached(message))
      bytes += message.body.length
    }
  } catch (error) {
    const hasExpired = topic.tier.find(section.queueId, section.from) === undefined
    if (!hasExpired || !isBrokerError(error, 'TIER_OBJECT_NOT_FOUND')) throw error
    return []
  }
  return found
}

const bytesOf = (messages: readonly StoredMessage[]): number =>
  messages.reduce((sum, { body }) => sum + body.length, 0)

const oldest = (messages: StoredMessage[], limit: number): StoredMessage[] => {
  messages.sort((a, b) => a.storeAtMs - b.storeAtMs)
  let bytes = 0
  let count = 0
  for (; count < Math.min(limit, messages.length) && bytes < ANSWER_BYTES_MAX; count++)
    bytes += (messages[count] as StoredMessage).body.length
  return messages.slice(0, count)
}

/** In memory of its own: an answer must not hold on to a frame for every message in it. */
const detached = (message: StoredMessage): StoredMessage => ({
  ...message,
  system: Buffer.from(message.system),
  properties: Buffer.from(message.properties),
  body: Buffer.from(message.body),
})
