import type { Fault } from '../../model/doctor.ts'
import {
  readDeferredDue,
  readDeferredPlace,
  readOutcomes,
  readSummary,
} from '../codec/deferred-record.ts'
import { type IndexKey, parseIndexKey } from '../codec/index-key.ts'
import {
  readCursor,
  readDeliveriesRecord,
  readGroupRecord,
  readSpace,
  readTopicRecord,
} from '../codec/index-record.ts'
import { NAME_ENTRY_BYTES, readNameRange } from '../codec/name-range.ts'
import { BLOCK_UNITS, readUnit, UNIT_BYTES } from '../codec/unit-block.ts'
import type { Entry, Readable } from '../ports/database.ts'
import { type IndexedTopic, indexFault, type IndexUnits } from './index-units.ts'
import type { VisitedLog } from './verify-log.ts'

/** The topics that the index knows, as far as their records read. */
export const indexedTopics = async (index: Readable): Promise<Map<number, IndexedTopic>> => {
  const topics = new Map<number, IndexedTopic>()
  for await (const { key, value } of index.entries()) {
    const parsed = parseIndexKey(key)
    if (parsed.kind !== 'topic') continue
    try {
      topics.set(parsed.ownerId, readTopicRecord(value))
    } catch {
      // Said by `verifyIndex`.
    }
  }
  return topics
}

/** Every entry of the index: its key, its value, and that what it points to is in the log. */
export async function* verifyIndex(
  index: Readable,
  log: VisitedLog,
  units: IndexUnits,
): AsyncGenerator<Fault | undefined> {
  for await (const { key, value } of index.entries()) {
    const parsed = parseIndexKey(key)
    try {
      yield* faultsOf(parsed, { key, value }, log, units)
    } catch (error) {
      yield indexFault(whereOf(parsed, key), `it does not read: ${String(error)}`)
    }
    yield undefined
  }
}

function* faultsOf(
  parsed: IndexKey,
  { key, value }: Entry,
  log: VisitedLog,
  units: IndexUnits,
): Generator<Fault> {
  const fault = (what: string): Fault => indexFault(whereOf(parsed, key), what)
  switch (parsed.kind) {
    case 'cursor': {
      const { offset, epoch } = readCursor(value)
      if (offset > log.end || epoch > log.epoch)
        yield fault(`it is folded to ${offset} of epoch ${epoch}, and the log ends before that`)
      return
    }
    case 'space':
      readSpace(value)
      return
    case 'topic':
      readTopicRecord(value)
      return
    case 'group':
      readGroupRecord(value)
      return
    case 'deliveries':
      readDeliveriesRecord(value)
      return
    case 'nameRange':
      readNameRange(value)
      return
    case 'namePage':
      if (value.length % NAME_ENTRY_BYTES !== 0) yield fault('it is cut off')
      return
    case 'queueBlock':
      yield* blockFaults(parsed, value, log, units)
      return
    case 'unknown':
      yield fault('nobody writes such a key')
      return
    case 'deferredDue':
      readDeferredPlace(value)
      return
    case 'deferred':
      readDeferredDue(value)
      return
    case 'deferredOutcomes':
      readOutcomes(value)
      return
    case 'deferredAll':
      readSummary(value)
      return
  }
}

function* blockFaults(
  { ownerId, queueId, block }: Extract<IndexKey, { kind: 'queueBlock' }>,
  value: Uint8Array,
  log: VisitedLog,
  units: IndexUnits,
): Generator<Fault> {
  const where = `topic ${ownerId} queue ${queueId} block ${block}`
  if (value.length % UNIT_BYTES !== 0 || value.length > BLOCK_UNITS * UNIT_BYTES) {
    yield indexFault(where, `its ${value.length} bytes are no units`)
    return
  }
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  for (let index = 0; index < value.length / UNIT_BYTES; index++) {
    const offset = block * BLOCK_UNITS + index
    const { chunk, at, size } = readUnit(bytes, index)
    if (size === 0 || units.kept(ownerId, queueId, offset) === undefined) continue
    if (isWithin(log, chunk, at + size) || units.isOutdated(ownerId, queueId, offset)) continue
    yield indexFault(
      `topic ${ownerId} queue ${queueId} offset ${offset}`,
      `the unit points to ${chunk} + ${at}, where the log has no such chunk`,
    )
  }
}

/** Whether there is a sound chunk of at least this size. */
const isWithin = ({ offsets, sizes }: VisitedLog, chunk: number, bytes: number): boolean => {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((offsets[middle] as number) < chunk) low = middle + 1
    else high = middle
  }
  return offsets[low] === chunk && (sizes[low] as number) >= bytes
}

const whereOf = (parsed: IndexKey, key: Uint8Array): string => {
  const hex = Buffer.from(key).toString('hex')
  return 'ownerId' in parsed
    ? `${parsed.kind} of owner ${parsed.ownerId} (key ${hex})`
    : `key ${hex}`
}
