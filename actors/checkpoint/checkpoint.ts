import { BrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import {
  cursorKey,
  deliveriesKey,
  groupKey,
  queueBlockKey,
  spaceKey,
  topicKey,
} from '../../storage/codec/index-key.ts'
import {
  encodeCursor,
  encodeDeliveriesRecord,
  encodeGroupRecord,
  encodeSpace,
  encodeTopicRecord,
} from '../../storage/codec/index-record.ts'
import { deferredKinds } from '../../model/deferred/deferred.ts'
import type { Operation } from '../../storage/ports/database.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { DeliveriesCell } from '../consumer-group/deliveries-cell.ts'
import type { FactsSpan } from '../system/facts-span.ts'
import type { Topic } from '../topic/topic.ts'
import { checkpointDeferred } from './deferred-checkpoint.ts'
import type { IndexStore } from './index-store.ts'

const SLICE_BYTES = 1 << 20

export interface CheckpointDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: Clock
}

/** What one slice wrote: undone when it did not reach the disk. */
interface Slice {
  /** In which its positions mean something: a log that was reopened may have lost them. */
  readonly epoch: number
  readonly operations: Operation[]
  readonly written: (() => void)[]
  readonly lost: (() => void)[]
  bytes: number
}

/**
 * Writes every dirty projection to the index, then the cursor behind which they all are.
 *
 * Each is encoded as of one admitted position, held until the log is synced beyond it, and
 * written together with that position, so folding can go on there. The cursor is where the
 * checkpoint began. A failure leaves everything dirty: the next one begins anew.
 */
export const checkpoint = async ({ state, log, index, clock }: CheckpointDeps): Promise<void> => {
  await index.open()
  const begun = { epoch: log.epoch, offset: log.chunkStart }
  const write = (slice: Slice) => writeSlice(slice, log, index)
  const newSlice = (): Slice => ({ ...begun, operations: [], written: [], lost: [], bytes: 0 })
  let slice = newSlice()
  for (const topic of [...state.dirtyTopics]) {
    while (!isPrepared(topic)) await prepare(topic)
    sliceTopic(slice, state, topic, log.position)
    if (slice.bytes >= SLICE_BYTES) {
      await write(slice)
      slice = newSlice()
    }
  }
  for (const group of state.dirtyGroups) {
    const span = spanAt(group.span, log.position)
    state.dirtyGroups.delete(group)
    if (!state.groups.has(group.groupId)) continue
    slice.lost.push(() => state.dirtyGroups.add(group))
    put(slice, groupKey(group.groupId), encodeGroupRecord(span, group.state))
  }
  const skewMs = clock.monotonicMs() - clock.wallMs()
  for (const cell of [...state.dirtyCells]) {
    sliceCell(slice, state, cell, { position: log.position, skewMs })
    if (slice.bytes >= SLICE_BYTES) {
      await write(slice)
      slice = newSlice()
    }
  }
  for (const kind of deferredKinds) {
    const set = state.deferred[kind]
    if (!set.isDirty) continue
    await write(slice)
    slice = newSlice()
    const { batches, written, lost } = checkpointDeferred(set, log.position, log.storeAtMs())
    try {
      for (const operations of batches) await write({ ...newSlice(), operations })
    } catch (error) {
      lost()
      throw error
    }
    written()
  }
  const { gaps, live } = state.space
  const span = spanAt(state.logSpan, log.position)
  put(slice, spaceKey(), encodeSpace({ span, gaps, live: [...live] }))
  const cursor = { ...begun, nextOwnerId: state.nextOwnerId, storeAtMs: log.storeAtMs() }
  put(slice, cursorKey(), encodeCursor(cursor))
  await write(slice)
}

const put = (slice: Slice, key: Buffer, value: Buffer): void => {
  slice.operations.push({ type: 'put', key, value })
  slice.bytes += value.length
}

const spanAt = ({ anchor, first, last }: FactsSpan, asOf: number) => ({
  asOf,
  anchor,
  first,
  last,
})

const writeSlice = async (slice: Slice, log: CommitLog, index: IndexStore): Promise<void> => {
  try {
    await log.flush()
    if (log.epoch !== slice.epoch)
      throw new BrokerError('STORE_UNAVAILABLE', { store: 'CommitLog', operation: 'write' })
    if (slice.operations.length > 0) await index.write(slice.operations)
  } catch (error) {
    for (const undo of slice.lost) undo()
    throw error
  }
  for (const done of slice.written) done()
}

const isPrepared = (topic: Topic): boolean => topic.queues.every((queue) => queue.isPrepared)

const prepare = async (topic: Topic): Promise<void> => {
  for (const queue of topic.queues) await queue.prepareCheckpoint()
}

const sliceTopic = (slice: Slice, state: BrokerState, topic: Topic, asOf: number): void => {
  state.dirtyTopics.delete(topic)
  if (!state.topics.has(topic.topicId)) return
  slice.lost.push(() => state.dirtyTopics.add(topic))
  for (const queue of topic.queues) {
    const { puts, removed } = queue.checkpoint()
    for (const { block, units } of puts)
      put(slice, queueBlockKey(topic.topicId, queue.queueId, block), units)
    for (const block of removed)
      slice.operations.push({
        type: 'del',
        key: queueBlockKey(topic.topicId, queue.queueId, block),
      })
    if (puts.length + removed.length > 0)
      slice.written.push(() => queue.checkpointed(puts, removed))
  }
  put(slice, topicKey(topic.topicId), encodeTopicRecord(spanAt(topic.span, asOf), topic.state))
}

const sliceCell = (
  slice: Slice,
  state: BrokerState,
  cell: DeliveriesCell,
  { position, skewMs }: { position: number; skewMs: number },
): void => {
  if (!state.dirtyCells.delete(cell) || !state.isOwned(cell)) return
  slice.lost.push(() => state.dirtyCells.add(cell))
  const { groupId, topicId, queueId } = cell.address
  const record = encodeDeliveriesRecord(
    spanAt(cell.span, position),
    cell.address,
    cell.deliveries.state(skewMs),
  )
  put(slice, deliveriesKey(groupId, topicId, queueId), record)
}
