import { withGap } from '../../machines/retention/log-space.ts'
import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import { encodeDeliveryFact } from '../../storage/codec/delivery-fact.ts'
import { factType, isMessage } from '../../storage/codec/fact-type.ts'
import { groupKey, topicKey } from '../../storage/codec/index-key.ts'
import { carriedPrefix, type MessageFact, readMessage } from '../../storage/codec/message-fact.ts'
import { recordsOf } from '../../storage/codec/record.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { Unit } from '../../storage/codec/unit-block.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import { unitOf } from '../broker/replay.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { Group } from '../consumer-group/group.ts'
import type { FactsSpan } from '../system/facts-span.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { DeferredCarrier, type DeferredCarrierDeps } from './carry-deferred.ts'
import { unitAt } from './trim.ts'

export interface ReclaimDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: ReclaimSettings
  readonly deferred: DeferredCarrierDeps
  /** Facts before this chunk are in the index: only they may leave the log. */
  readonly checkpointed: () => number
  /** The epoch of the log in which no trim was left unfinished. */
  readonly trims: { finishedIn: number }
}

export interface ReclaimSettings {
  /**
   * Bytes of log that are reclaimed together. What is alive is counted on disk by extent, so a
   * place keeps the size with which it was made.
   */
  readonly extentBytes: number
  /** An extent whose live share falls below this is carried forward and reclaimed. */
  readonly carryBelow: number
  /** Bytes of an ended topic that share extents with living ones go after this at the latest. */
  readonly reclaimMs: number
}

/** One message that lives in an extent which goes. */
interface Survivor {
  readonly topic: Topic
  readonly queue: ConsumeQueue
  readonly fact: MessageFact
  readonly from: { readonly chunk: number; readonly at: number; readonly size: number }
}

/** Extents carried forward in one round: the log is written to meanwhile. */
const CARRIED_MAX = 2

/**
 * Gives extents of the log back: the dead ones as they are, the nearly dead ones after what
 * lives in them was written anew at the head, with the same identity, in the admission that
 * frees the old place. So nothing pins the log, and a crash finds either place whole.
 */
export const reclaimLog = async (deps: ReclaimDeps): Promise<void> => {
  const { log, state, trims } = deps
  const { extentBytes } = state.space
  // A trim that failed has made a new epoch, and its stretch is given up already.
  if (trims.finishedIn !== log.epoch) {
    const { epoch } = log
    await finishTrims(deps)
    trims.finishedIn = epoch
  }
  const end = state.space.extentOf(deps.checkpointed())
  let carried = 0
  for (const extent of candidates(deps, end)) {
    const from = await borderAt(log, extent * extentBytes)
    const to = await borderAt(log, (extent + 1) * extentBytes)
    if (from === undefined || to === undefined || from === to) continue
    if (deps.state.space.liveIn(extent) > 0 && ++carried > CARRIED_MAX) continue
    const isReclaimed = await deps.index.exclusive(() => giveUp(deps, from, to))
    if (isReclaimed) await log.trim(from, to)
  }
}

/** Gives back what is left of stretches that were given up. True when there was something. */
export const finishTrims = async ({
  state,
  log,
}: Pick<ReclaimDeps, 'state' | 'log'>): Promise<boolean> => {
  const { gaps } = state.space
  let hasTrimmed = false
  for (let index = 0; index < gaps.length; index += 2) {
    const from = gaps[index] as number
    const to = gaps[index + 1] as number
    for await (const _ of log.chunks.offsets(from, to)) {
      hasTrimmed = true
      break
    }
    if (hasTrimmed) await log.trim(from, to)
  }
  return hasTrimmed
}

/** Extents worth freeing, oldest first. */
const candidates = (deps: ReclaimDeps, end: number): number[] => {
  const { state, settings, clock } = deps
  const { extentBytes } = state.space
  const overdue = [...state.topics.values()].filter(
    ({ status, droppedAtMs }) =>
      status === 'dropped' && clock.wallMs() - droppedAtMs >= settings.reclaimMs,
  )
  const found: number[] = []
  for (let extent = 0; extent < end; extent++) {
    const from = extent * extentBytes
    const to = from + extentBytes
    if (state.space.isGap(from, to)) continue
    const isNearlyDead = state.space.liveIn(extent) < settings.carryBelow * extentBytes
    if (isNearlyDead || overdue.some(({ span }) => span.touches(from, to))) found.push(extent)
  }
  return found
}

/** The first chunk at or behind a position. */
const borderAt = async (log: CommitLog, position: number): Promise<number | undefined> => {
  for await (const offset of log.chunks.offsets(position)) return offset
  return undefined
}

/**
 * Carries forward what lives in a stretch, and says so in the log. Under the checkpoint's lock,
 * and that of trims and endings: what moves is folded when it is synced, and nobody may decide
 * or write on a state in which it has not.
 */
const giveUp = async (deps: ReclaimDeps, from: number, to: number): Promise<boolean> => {
  const { state, log, index, logger } = deps
  if (log.mode !== 'writing') return false
  const carrier = new DeferredCarrier(deps.deferred)
  const survivors = await survivorsIn(deps, from, to, carrier)
  for (const { queue, fact } of survivors) await queue.makeWhole(fact.queueOffset)
  const gaps = withGap(state.space.gaps, from, to)
  const forgotten = forgettable(state, gaps)
  for (const { topic, queue, fact, from: place } of survivors)
    if (isLive(topic, queue, fact, place)) carryMessage(deps, { topic, queue, fact, from: place })
  const deferred = carrier.carry((chunk) => isWithin(gaps, chunk))
  carryStates(deps, from, to, forgotten)
  const trimmed: RegistryFact = { type: 'logTrimmed', nextOwnerId: state.nextOwnerId, gaps }
  const admitted = log.admitFact(encodeRegistryFact(trimmed), 'freeing', {
    synced: () => state.foldRegistry(trimmed, admitted.chunk.offset + admitted.at),
  })
  await log.whenSynced(admitted)
  await forget(state, index, forgotten)
  for await (const offset of log.chunks.offsets(from, to)) log.forget(offset)
  const carried = survivors.length + deferred
  logger.info({ from, to, carried }, 'reclaimed a stretch of the commit log')
  return true
}

/** Looks at every message, also where none is counted as alive: a count is no proof. */
const survivorsIn = async (
  deps: ReclaimDeps,
  from: number,
  to: number,
  carrier: DeferredCarrier,
): Promise<Survivor[]> => {
  const survivors: Survivor[] = []
  for await (const chunk of deps.log.chunks.offsets(from, to))
    await collect(deps, chunk, survivors, carrier)
  return survivors
}

const isWithin = (gaps: readonly number[], position: number): boolean => {
  for (let index = 0; index < gaps.length; index += 2)
    if ((gaps[index] as number) <= position && position < (gaps[index + 1] as number)) return true
  return false
}

const collect = async (
  { state, log }: ReclaimDeps,
  offset: number,
  survivors: Survivor[],
  carrier: DeferredCarrier,
): Promise<void> => {
  const chunk = await log.chunks.read(offset)
  if (chunk === undefined) return
  for (const record of recordsOf(chunk, offset)) {
    if (!isMessage(record.type)) {
      await carrier.note(offset, record)
      continue
    }
    const fact = readMessage(record.type, record.payload)
    carrier.noteReleased(fact)
    const topic = state.topics.get(fact.topicId)
    const queue = topic?.status === 'dropped' ? undefined : topic?.queues[fact.queueId]
    if (topic === undefined || queue === undefined || fact.queueOffset < queue.localMin) continue
    const from = { chunk: offset, at: record.at, size: record.size }
    const unit = await unitAt(queue, fact.queueOffset)
    if (isAt(unit, from)) survivors.push({ topic, queue, fact, from })
  }
}

/** True while the queue's unit points at this very record. */
const isLive = (
  topic: Topic,
  queue: ConsumeQueue,
  { queueOffset }: MessageFact,
  from: Survivor['from'],
): boolean => {
  if (topic.status === 'dropped' || queueOffset < queue.localMin) return false
  return isAt(queue.unit(queueOffset), from)
}

const isAt = (unit: Unit | undefined, from: Survivor['from']): boolean =>
  unit?.chunk === from.chunk && unit.at === from.at

const carryMessage = (
  { state, log }: ReclaimDeps,
  { topic, queue, fact, from }: Survivor,
): void => {
  const { chunk, at, size } = log.admitMessage(fact, fact, {
    type: factType.messageCarried,
    prefix: carriedPrefix(from),
    share: 'freeing',
  })
  const unit = unitOf(fact, { chunk: chunk.offset, at, size })
  chunk.consequences.push({
    synced: () => {
      if (!isLive(topic, queue, fact, from)) return
      queue.repoint(fact.queueOffset, unit)
      topic.bytes += size - from.size
      topic.span.note(chunk.offset + at)
      state.space.free([state.space.extentOf(from.chunk), from.size])
      state.space.add(chunk.offset, size)
      state.dirtyTopics.add(topic)
    },
  })
}

/** Whole states of every owner that has facts in the stretch. */
const carryStates = (
  { state, log, clock }: ReclaimDeps,
  from: number,
  to: number,
  forgotten: Forgotten,
): void => {
  const carry = (
    record: Buffer,
    span: FactsSpan,
    keepsAnchor: boolean,
    dirty: () => void,
  ): void => {
    const { chunk, at } = log.admitFact(record, 'freeing', {
      synced: () => {
        if (keepsAnchor) span.note(chunk.offset + at)
        else span.restart(chunk.offset + at)
        dirty()
      },
    })
  }
  for (const topic of state.topics.values()) {
    if (!topic.span.meets(from, to) || forgotten.topics.includes(topic)) continue
    const record = encodeRegistryFact({ type: 'topicCarried', topic: topic.syncedState })
    carry(record, topic.span, topic.status === 'dropped', () => state.dirtyTopics.add(topic))
  }
  const skewMs = clock.monotonicMs() - clock.wallMs()
  for (const group of state.groups.values()) {
    if (group.span.meets(from, to) && !forgotten.groups.includes(group)) {
      const record = encodeRegistryFact({ type: 'groupCreated', group: group.state })
      carry(record, group.span, group.status === 'dropped', () => state.dirtyGroups.add(group))
    }
    for (const { cells } of group.subscriptions.values())
      for (const cell of cells) {
        if (!cell?.span.meets(from, to)) continue
        const fact = { type: 'carried', ...cell.deliveries.state(skewMs) } as const
        carry(encodeDeliveryFact(cell.address, fact), cell.span, false, () =>
          state.dirtyCells.add(cell),
        )
      }
  }
}

interface Forgettable {
  readonly status: string
  readonly span: FactsSpan
  /** Of a topic: while the store may hold something of it, its tombstone stays. */
  readonly tier?: { readonly isBegun: boolean }
}

interface Forgotten {
  readonly topics: readonly Topic[]
  readonly groups: readonly Group[]
}

/** Tombstones of which the log will hold nothing any more. */
const forgettable = (state: BrokerState, gaps: readonly number[]): Forgotten => {
  const isGone = ({ status, span, tier }: Forgettable): boolean => {
    if (status !== 'dropped' || tier?.isBegun) return false
    for (let index = 0; index < gaps.length; index += 2)
      if (span.isWithin(gaps[index] as number, gaps[index + 1] as number)) return true
    return false
  }
  return {
    topics: [...state.topics.values()].filter(isGone),
    groups: [...state.groups.values()].filter(isGone),
  }
}

const forget = async (state: BrokerState, index: IndexStore, forgotten: Forgotten) => {
  for (const topic of forgotten.topics) state.forgetTopic(topic)
  for (const group of forgotten.groups) state.forgetGroup(group)
  const keys = [
    ...forgotten.topics.map(({ topicId }) => topicKey(topicId)),
    ...forgotten.groups.map(({ groupId }) => groupKey(groupId)),
  ]
  if (keys.length > 0) await index.write(keys.map((key) => ({ type: 'del', key })))
}
