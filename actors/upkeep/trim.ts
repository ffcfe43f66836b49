import { type LogSpace, pushFreed } from '../../machines/retention/log-space.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { loadMessage } from '../messages/load-message.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'

export interface TrimDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: Clock
  readonly logger: Logger
}

/** Units in one trim, so that a long-neglected queue is trimmed in steps. */
const UNITS_MAX = 16_384
/** Loaded this often and still not there, a unit is lost. */
const LOADS_MAX = 16

/** When the message at the head of a queue was stored, so that a round costs no reading. */
const heads = new WeakMap<ConsumeQueue, { readonly offset: number; readonly storeAtMs: number }>()

/** Removes what retention no longer keeps, whatever groups have read. */
export const trimExpired = async (deps: TrimDeps): Promise<void> => {
  for (const topic of [...deps.state.topics.values()]) {
    if (topic.status !== 'serving' || !topic.isVisible) continue
    for (const queue of topic.queues) {
      const offsetMin = await firstKept(deps, topic, queue)
      await trim(deps, topic, queue, offsetMin)
    }
    await trimToSize(deps, topic)
  }
}

/** The first offset that is young enough, at most one step ahead. */
const firstKept = async (deps: TrimDeps, topic: Topic, queue: ConsumeQueue): Promise<number> => {
  const { offsetMin, offsetFirst } = queue
  // Dead letters that were sent back or purged go before their time.
  if (offsetFirst > offsetMin) return Math.min(offsetFirst, offsetMin + UNITS_MAX)
  const bornAfterMs = deps.clock.wallMs() - topic.settings.retention.ageMs
  if (offsetMin >= queue.offsetMax || bornAfterMs <= 0) return offsetMin
  const known = heads.get(queue)
  const storeAtMs =
    known?.offset === offsetMin ? known.storeAtMs : await storeAt(deps, topic, queue, offsetMin)
  heads.set(queue, { offset: offsetMin, storeAtMs })
  if (storeAtMs > bornAfterMs) return offsetMin
  let low = offsetMin + 1
  let high = Math.min(queue.offsetMax, offsetMin + UNITS_MAX)
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((await storeAt(deps, topic, queue, middle)) > bornAfterMs) high = middle
    else low = middle + 1
  }
  return low
}

const storeAt = async (
  { log }: TrimDeps,
  topic: Topic,
  queue: ConsumeQueue,
  offset: number,
): Promise<number> => {
  const message = await loadMessage(log, topic, { queue, offset })
  // Gone with its topic: there is nothing to trim.
  return message?.storeAtMs ?? Number.POSITIVE_INFINITY
}

/** The oldest messages of the topic go, a step of one queue at a time, until it fits. */
const trimToSize = async (deps: TrimDeps, topic: Topic): Promise<void> => {
  const { bytes } = topic.settings.retention
  while (bytes > 0 && topic.bytes > bytes) {
    const oldest = await oldestQueue(topic)
    if (oldest === undefined) return
    const { queue } = oldest
    let left = topic.bytes - bytes
    let offset = queue.offsetMin
    while (left > 0 && offset < queue.offsetMax && offset - queue.offsetMin < 64) {
      left -= (await unitAt(queue, offset)).size
      offset++
    }
    await trim(deps, topic, queue, offset)
  }
}

const oldestQueue = async (topic: Topic) => {
  let oldest: { queue: ConsumeQueue; chunk: number } | undefined
  for (const queue of topic.queues) {
    if (queue.offsetMin >= queue.offsetMax) continue
    const { chunk } = await unitAt(queue, queue.offsetMin)
    if (oldest === undefined || chunk < oldest.chunk) oldest = { queue, chunk }
  }
  return oldest
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
  offsetMin: number,
): Promise<void> =>
  deps.index.exclusive(async () => {
    if (topic.status === 'serving' && offsetMin > queue.offsetMin)
      await trimTo(deps, topic, queue, offsetMin)
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
    messages: offsetMin - queue.offsetMin,
    bytes,
    freed,
  } as const
  const before = lostBy(state)
  const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
    synced: () => state.foldRegistry(fact, admitted.chunk.offset + admitted.at),
  })
  await log.whenSynced(admitted)
  for (const [name, lost] of lostBy(state)) {
    const count = lost - (before.get(name) ?? 0)
    if (count > 0)
      logger.warn(
        { group: name, topic: topic.name, queueId: queue.queueId, messages: count },
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
  for (let offset = queue.offsetMin; offset < offsetMin; offset++) {
    const { chunk, size } = await unitAt(queue, offset)
    pushFreed(freed, space.extentOf(chunk), size)
    bytes += size
  }
  return { freed, bytes }
}
