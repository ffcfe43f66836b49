import { type LogSpace, pushFreed } from '../../machines/retention/log-space.ts'
import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { loadMessage } from '../messages/load-message.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'

/** What of the log may leave it because the tier has it. */
export interface LocalRetention {
  /** Messages stay in the log for so long. */
  readonly ageMs: number
  /** The oldest of a topic leave while it has more than this in the log. 0 means no limit. */
  readonly bytes: number
}

export interface TrimDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: Clock
  readonly logger: Logger
}

export interface RetentionDeps extends TrimDeps {
  readonly local: LocalRetention
  /** True while the disk is short: whatever the tier has may leave at once. */
  readonly isPressed: () => boolean
}

/** Units in one trim, so that a long-neglected queue is trimmed in steps. */
const UNITS_MAX = 16_384
/** Loaded this often and still not there, a unit is lost. */
const LOADS_MAX = 16

/** When the first message of a queue in the log was stored, so that a round costs no reading. */
const heads = new WeakMap<ConsumeQueue, { readonly offset: number; readonly storeAtMs: number }>()

/** Removes what retention no longer keeps, whatever groups have read, and what the tier has. */
export const trimExpired = async (deps: RetentionDeps): Promise<void> => {
  for (const topic of [...deps.state.topics.values()]) {
    if (topic.status !== 'serving' || !topic.isVisible) continue
    for (const queue of topic.queues)
      await trim(deps, topic, queue, await firstKeptHere(deps, topic, queue))
    await trimToSize(deps, topic)
    await shedToTier(deps, topic)
  }
}

/** The first offset that must stay in the log, at most one step ahead. */
const firstKeptHere = async (
  deps: RetentionDeps,
  topic: Topic,
  queue: ConsumeQueue,
): Promise<number> => {
  const { localMin, offsetMax, offsetFirst } = queue
  // Dead letters that were sent back or purged go before their time.
  if (offsetFirst > queue.offsetMin) return Math.min(offsetFirst, localMin + UNITS_MAX)
  const { ageMs } = topic.settings.retention
  const kept = await firstYoung(deps, topic, queue, { ageMs, end: offsetMax })
  const tierEnd = topic.tier.endOf(queue.queueId) ?? 0
  if (tierEnd <= kept) return kept
  if (deps.isPressed()) return Math.min(tierEnd, localMin + UNITS_MAX)
  const local = { ageMs: deps.local.ageMs, end: tierEnd }
  return Math.max(kept, await firstYoung(deps, topic, queue, local))
}

/** The first offset in the log, up to `end`, that is younger than an age. */
const firstYoung = async (
  deps: TrimDeps,
  topic: Topic,
  queue: ConsumeQueue,
  { ageMs, end }: { readonly ageMs: number; readonly end: number },
): Promise<number> => {
  const { localMin } = queue
  const bornAfterMs = deps.clock.wallMs() - ageMs
  if (localMin >= end || bornAfterMs <= 0) return localMin
  const known = heads.get(queue)
  const storeAtMs =
    known?.offset === localMin ? known.storeAtMs : await storeAt(deps, topic, queue, localMin)
  heads.set(queue, { offset: localMin, storeAtMs })
  if (storeAtMs > bornAfterMs) return localMin
  let low = localMin + 1
  let high = Math.min(end, localMin + UNITS_MAX)
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((await storeAt(deps, topic, queue, middle)) > bornAfterMs) high = middle
    else low = middle + 1
  }
  return low
}

const storeAt = async (
  deps: TrimDeps,
  topic: Topic,
  queue: ConsumeQueue,
  offset: number,
): Promise<number> => {
  const message = await loadMessage(deps, topic, { queue, offset })
  // Gone with its topic: there is nothing to trim.
  return message?.storeAtMs ?? Number.POSITIVE_INFINITY
}

/** The oldest messages of the topic go, a step of one queue at a time, until it fits. */
const trimToSize = async (deps: TrimDeps, topic: Topic): Promise<void> => {
  const { bytes } = topic.settings.retention
  while (bytes > 0 && topic.bytes > bytes)
    if (!(await trimOldest(deps, topic, topic.bytes - bytes, ({ offsetMax }) => offsetMax))) return
}

/** As that, of what the tier has: nothing is lost by it. */
const shedToTier = async (deps: RetentionDeps, topic: Topic): Promise<void> => {
  const { bytes } = deps.local
  const endOf = ({ queueId }: ConsumeQueue): number => topic.tier.endOf(queueId) ?? 0
  while (bytes > 0 && topic.bytes > bytes)
    if (!(await trimOldest(deps, topic, topic.bytes - bytes, endOf))) return
}

/** One step of the queue whose first message is the oldest. False when nothing may go. */
const trimOldest = async (
  deps: TrimDeps,
  topic: Topic,
  bytes: number,
  endOf: (queue: ConsumeQueue) => number,
): Promise<boolean> => {
  const oldest = await oldestQueue(topic, endOf)
  if (oldest === undefined) return false
  let left = bytes
  let offset = oldest.localMin
  const end = Math.min(endOf(oldest), offset + 64)
  for (; left > 0 && offset < end; offset++) left -= (await unitAt(oldest, offset)).size
  await trim(deps, topic, oldest, offset)
  return true
}

const oldestQueue = async (
  topic: Topic,
  endOf: (queue: ConsumeQueue) => number,
): Promise<ConsumeQueue | undefined> => {
  let oldest: { queue: ConsumeQueue; chunk: number } | undefined
  for (const queue of topic.queues) {
    if (queue.localMin >= endOf(queue)) continue
    const { chunk } = await unitAt(queue, queue.localMin)
    if (oldest === undefined || chunk < oldest.chunk) oldest = { queue, chunk }
  }
  return oldest?.queue
}

/** The unit at an offset, loaded where it must be. */
export const unitAt = async (queue: ConsumeQueue, offset: number) => {
  for (let round = 0; round < LOADS_MAX; round++) {
    const unit = queue.unit(offset)
    if (unit) return unit
    await queue.load(offset)
  }
  throw missing(queue, offset)
}

const missing = ({ queueId }: ConsumeQueue, offset: number) =>
  new BrokerError('CORRUPT', {
    store: 'index',
    position: offset,
    reason: `queue ${queueId} has no unit at this offset`,
  })

/**
 * One trim is one fact; it takes effect when synced, and nobody may decide or write a checkpoint
 * on a state in which it has not.
 */
export const trim = (
  deps: TrimDeps,
  topic: Topic,
  queue: ConsumeQueue,
  localMin: number,
): Promise<void> =>
  deps.index.exclusive(async () => {
    if (topic.status === 'serving' && localMin > queue.localMin)
      await trimTo(deps, topic, queue, localMin)
  })

const trimTo = async (
  { state, log, logger }: TrimDeps,
  topic: Topic,
  queue: ConsumeQueue,
  offsetMin: number,
): Promise<void> => {
  const { freed, bytes } = await freedBelow(state.space, queue, offsetMin)
  const fact = {
    type: 'queueTrimmed',
    topicId: topic.topicId,
    queueId: queue.queueId,
    offsetMin,
    floor: topic.tier.floorOf(queue.queueId, offsetMin),
    messages: offsetMin - queue.localMin,
    bytes,
    freed,
  } as const
  await admitRetention({ state, log, logger }, fact, topic.name)
}

/** Admits that messages go. In force when it resolves; groups that lose by it are told of aloud. */
export const admitRetention = async (
  { state, log, logger }: Pick<TrimDeps, 'state' | 'log' | 'logger'>,
  fact: Extract<RegistryFact, { type: 'queueTrimmed' | 'tierExpired' }>,
  topic: string,
): Promise<void> => {
  const before = lostBy(state)
  const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
    synced: () => state.foldRegistry(fact, admitted.chunk.offset + admitted.at),
  })
  await log.whenSynced(admitted)
  for (const [name, lost] of lostBy(state)) {
    const messages = lost - (before.get(name) ?? 0)
    if (messages > 0)
      logger.warn(
        { group: name, topic, queueId: fact.queueId, messages },
        'retention removed messages that the group had not acknowledged',
      )
  }
}

const lostBy = (state: BrokerState): Map<string, number> =>
  new Map([...state.groups.values()].map(({ name, lost }) => [name, lost]))

/** What the units below an offset occupy in the log, by extent. */
export const freedBelow = async (
  space: LogSpace,
  queue: ConsumeQueue,
  offsetMin: number,
): Promise<{ freed: number[]; bytes: number }> => {
  const freed: number[] = []
  let bytes = 0
  for (let offset = queue.localMin; offset < offsetMin; offset++) {
    const { chunk, size } = await unitAt(queue, offset)
    pushFreed(freed, space.extentOf(chunk), size)
    bytes += size
  }
  return { freed, bytes }
}
