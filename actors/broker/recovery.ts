import {
  type DeferredEntry,
  type DeferredKind,
  deferredKinds,
} from '../../model/deferred/deferred.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import {
  cursorKey,
  ownerRange,
  parseIndexKey,
  spaceKey,
  topicQueuesRange,
} from '../../storage/codec/index-key.ts'
import {
  type IndexCursor,
  readCursor,
  readDeliveriesRecord,
  readGroupRecord,
  readSpace,
  readTopicRecord,
  type Span,
} from '../../storage/codec/index-record.ts'
import { BLOCK_UNITS, unitChunk, unitSize } from '../../storage/codec/unit-block.ts'
import type { LogTail } from '../../storage/log/chunk-log.ts'
import { loadDeferred } from '../checkpoint/deferred-checkpoint.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import { finishTrims } from '../upkeep/reclaim.ts'
import { spillBlocks } from '../checkpoint/spill.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { FactsSpan } from '../system/facts-span.ts'
import type { BrokerState } from './broker-state.ts'
import { replayChunk } from './replay.ts'

export interface RecoveryDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: Clock
  readonly logger: Logger
}

const SPILL_BYTES = 64 << 20

/**
 * Folds state from the index and the facts behind its cursor; without a trustworthy cursor,
 * from the whole log. Nothing else is needed to start: the index can be deleted and comes back.
 */
export const recover = async (deps: RecoveryDeps, tail: LogTail): Promise<void> => {
  const { state, index, log, logger } = deps
  await index.open()
  const cursor = await trustedCursor(deps, tail)
  if (cursor) await loadIndex(deps, cursor)
  else await index.clear({})
  const from = cursor?.offset ?? 0
  const isRebuild = cursor === undefined && tail.offset > 0
  if (isRebuild) logger.warn({ bytes: tail.offset }, 'the index is rebuilt from the commit log')
  await replayLog(deps, tail, { from, isRebuild })
  // A crash may have left chunks of stretches that are given up; a rebuild has folded them.
  if ((await finishTrims(deps)) && isRebuild) {
    state.reset()
    await index.clear({})
    await replayLog(deps, tail, { from, isRebuild })
  }
  dropShells(state)
  raiseFloors(state)
  state.recountUnacked()
  if (isRebuild) await recount(state)
  log.noteStoreAtMs(state.storeAtMs)
  for (const topic of state.topics.values()) topic.isVisible = topic.status !== 'dropped'
  for (const group of state.groups.values()) group.isVisible = group.status !== 'dropped'
}

const replayLog = async (
  { state, log, index, clock, logger }: RecoveryDeps,
  tail: LogTail,
  { from, isRebuild }: { from: number; isRebuild: boolean },
): Promise<void> => {
  const skewMs = clock.monotonicMs() - clock.wallMs()
  const gaps: { from: number; to: number }[] = []
  let spilledAt = from
  for await (const step of log.chunks.scan(from)) {
    if (step.type === 'gap') {
      gaps.push(step)
      continue
    }
    await replayChunk(state, step, skewMs)
    if (!isRebuild || step.offset - spilledAt < SPILL_BYTES) continue
    spilledAt = step.offset
    await spillBlocks(state, index)
    logger.info({ done: step.offset, of: tail.offset }, 'rebuilding the index')
  }
  checkGaps(state, gaps, tail)
}

/** What retention removed is nobody's to deliver, whatever facts were folded after it. */
const raiseFloors = (state: BrokerState): void => {
  for (const { subscriptions } of state.groups.values())
    for (const { topic, cells } of subscriptions.values())
      for (const cell of cells) {
        const queue = cell && topic.queues[cell.address.queueId]
        if (queue && cell.deliveries.raiseFloor(queue.offsetMin) > 0) state.dirtyCells.add(cell)
      }
}

/** Undefined when there is none, or when it cannot belong to this log: said aloud. */
const trustedCursor = async (
  { index, log, logger }: RecoveryDeps,
  tail: LogTail,
): Promise<IndexCursor | undefined> => {
  const value = await index.get(cursorKey())
  if (value === undefined) return undefined
  const cursor = readCursor(value)
  const distrust = (reason: string): undefined => {
    logger.warn({ cursor, tail: tail.offset }, `the index does not fit the commit log: ${reason}`)
    return undefined
  }
  if (cursor.offset > tail.offset) return distrust('its cursor is beyond the tail')
  if (cursor.epoch > tail.epoch) return distrust('its epoch is unknown')
  if (cursor.offset === tail.offset) return cursor
  const header = await log.chunks.header(cursor.offset)
  if (header === undefined) return distrust('its cursor is not at a chunk')
  return header.epoch < cursor.epoch ? distrust('its epoch is not the chunk’s') : cursor
}

const adoptSpan = (span: FactsSpan, { asOf, anchor, first, last }: Span): void => {
  span.asOf = asOf
  span.anchor = anchor
  span.first = first
  span.last = last
}

/** Reads what is small of every owner and jumps over its queue blocks. */
const loadIndex = async (deps: RecoveryDeps, cursor: IndexCursor): Promise<void> => {
  const { state, index } = deps
  state.nextOwnerId = cursor.nextOwnerId
  state.storeAtMs = cursor.storeAtMs
  const space = await index.get(spaceKey())
  if (space) {
    const { span, gaps, live } = readSpace(space)
    state.space.restore(live, gaps)
    adoptSpan(state.logSpan, span)
  }
  for (const kind of deferredKinds) await loadDeferred(state.deferred[kind], index)
  for (let from: Buffer | undefined = ownerRange(1).gte; from; ) from = await loadOwners(deps, from)
}

/** Loads owners up to the first with queue blocks; returns where to go on, if anywhere. */
const loadOwners = async (deps: RecoveryDeps, from: Buffer): Promise<Buffer | undefined> => {
  for await (const { key, value } of deps.index.entries({ gte: from })) {
    const parsed = parseIndexKey(key)
    if (parsed.kind === 'queueBlock' || parsed.kind === 'deferredDue')
      return ownerRange(parsed.ownerId).lt
    loadEntry(deps, parsed.kind, value)
  }
  return undefined
}

const loadEntry = ({ state, clock }: RecoveryDeps, kind: string, value: Uint8Array): void => {
  if (kind === 'topic') {
    const { span, topic: record } = readTopicRecord(value)
    const topic = state.topicShell(record.topicId)
    topic.adopt(record)
    topic.bytes = record.bytes
    adoptSpan(topic.span, span)
    if (topic.status !== 'dropped') state.topicsByName.set(topic.name, topic)
  } else if (kind === 'group') {
    const { span, group: record } = readGroupRecord(value)
    const group = state.groupShell(record.groupId)
    group.adopt(record)
    adoptSpan(group.span, span)
    if (group.status !== 'dropped') state.groupsByName.set(group.name, group)
  } else if (kind === 'deliveries') {
    const { span, address, state: record } = readDeliveriesRecord(value)
    const cell = state.cell(address)
    if (cell === undefined) return
    const skewMs = clock.monotonicMs() - clock.wallMs()
    cell.deliveries.restore(record, { skewMs, sessionOf: cell.sessionOf })
    adoptSpan(cell.span, span)
  }
}

/** A stretch that nobody trimmed is lost, and never passed over in silence. */
const checkGaps = (
  state: BrokerState,
  gaps: readonly { from: number; to: number }[],
  tail: LogTail,
): void => {
  // The last one first: a lost chunk may have named the gaps before it.
  for (const { from, to } of gaps.toReversed()) {
    const position = state.space.firstOutsideGaps(from)
    if (position >= to) continue
    throw new BrokerError('CORRUPT', {
      store: 'CommitLog',
      position,
      reason: `chunks up to ${to} are missing (the log ends at ${tail.offset})`,
    })
  }
}

/** Ids whose creation was never folded are incarnations that died before the log begins. */
const dropShells = (state: BrokerState): void => {
  for (const topic of state.topics.values()) if (topic.name === '') state.forgetTopic(topic)
  for (const group of state.groups.values()) if (group.name === '') state.forgetGroup(group)
  for (const group of state.groups.values())
    for (const topicId of group.subscriptions.keys())
      if (!state.topics.has(topicId)) state.endSubscription(group, topicId)
  for (const kind of deferredKinds)
    for (const entry of [...state.deferred[kind].inMemory()])
      if (state.topics.get(entry.topicId)?.status !== 'serving') dropOrphan(state, kind, entry)
  for (const cell of state.dirtyCells)
    if (!isOwned(state, cell.address)) state.dirtyCells.delete(cell)
}

/** Of a topic that ends, what waits is dropped step by step; of one that is gone, here. */
const dropOrphan = (state: BrokerState, kind: DeferredKind, entry: DeferredEntry): void => {
  const topic = state.topics.get(entry.topicId)
  if (topic === undefined || topic.status === 'dropped')
    state.deferred[kind].foldEnded(entry, 'dropped', 0)
}

const isOwned = (state: BrokerState, { groupId, topicId }: { groupId: number; topicId: number }) =>
  state.groups.has(groupId) && state.topics.has(topicId)

/** After a rebuild: bytes by topic and extent, counted from the units that are left. */
const recount = async (state: BrokerState): Promise<void> => {
  state.space.restore([], state.space.gaps)
  for (const kind of deferredKinds)
    for (const { chunk, size } of state.deferred[kind].inMemory()) state.space.add(chunk, size)
  for (const topic of state.topics.values()) {
    topic.bytes = 0
    for (const queue of topic.queues) {
      let offset = queue.localMin
      while (offset < queue.offsetMax) {
        const units = await queue.wholeBlock(offset)
        const end = Math.min(queue.offsetMax, (Math.floor(offset / BLOCK_UNITS) + 1) * BLOCK_UNITS)
        for (; offset < end; offset++) {
          const size = unitSize(units, offset % BLOCK_UNITS)
          topic.bytes += size
          state.space.add(unitChunk(units, offset % BLOCK_UNITS), size)
        }
      }
    }
  }
}

/** What a crash left of owners whose end is synced: their keys, never their tombstones. */
export const sweepTombstones = async (state: BrokerState, index: IndexStore): Promise<void> => {
  const keys: Uint8Array[] = []
  const ranges: { readonly gte: Buffer; readonly lt: Buffer }[] = []
  for (let from: Buffer | undefined = ownerRange(1).gte; from; )
    from = await sweepOwners(state, index, { from, keys, ranges })
  if (keys.length > 0) await index.write(keys.map((key) => ({ type: 'del', key })))
  for (const range of ranges) await index.clear(range)
}

/** Looks at keys up to the first queue block, whose owner it jumps over. */
const sweepOwners = async (
  state: BrokerState,
  index: IndexStore,
  found: {
    readonly from: Buffer
    readonly keys: Uint8Array[]
    readonly ranges: { readonly gte: Buffer; readonly lt: Buffer }[]
  },
): Promise<Buffer | undefined> => {
  for await (const key of index.keys({ gte: found.from })) {
    const parsed = parseIndexKey(key)
    if (parsed.kind === 'queueBlock' || parsed.kind === 'deferredDue') {
      if (isGone(state.topics.get(parsed.ownerId)))
        found.ranges.push(topicQueuesRange(parsed.ownerId))
      return ownerRange(parsed.ownerId).lt
    }
    if (parsed.kind === 'topic' && !state.topics.has(parsed.ownerId)) found.keys.push(key)
    if (parsed.kind === 'group' && !state.groups.has(parsed.ownerId)) found.keys.push(key)
    if (parsed.kind !== 'deliveries') continue
    const isServed = state.topics.get(parsed.topicId)?.status === 'serving'
    if (!isServed || isGone(state.groups.get(parsed.ownerId))) found.keys.push(key)
  }
  return undefined
}

const isGone = (owner: { readonly status: string } | undefined): boolean =>
  owner === undefined || owner.status === 'dropped'
