import { BrokerError } from '../../model/errors.ts'
import type { GroupState, TopicState } from '../../model/addressing/registry-facts.ts'
import type { DeliveriesState } from '../../model/delivery/facts.ts'
import type { Cursor } from '../../model/wire/varint.ts'
import { encodeDeliveryFact, readDeliveriesAddress, readDeliveryFact } from './delivery-fact.ts'
import { factType } from './fact-type.ts'
import { encodeFields, type Field } from './fields.ts'
import { type RecordView, recordAt } from './record.ts'
import { groupFields, readGroup, readTopic, topicFields } from './registry-fact.ts'

/**
 * Values of the index: records like the log's, beginning with the span of facts they are folded
 * from (docs/formats/index.md).
 */
export interface Span {
  readonly asOf: number
  readonly anchor: number | undefined
  readonly first: number | undefined
  readonly last: number
}

export interface IndexCursor {
  readonly epoch: number
  /** Beginning of a chunk: every fact before it is in the index. */
  readonly offset: number
  readonly nextOwnerId: number
  /** No message was stored later; store times never decrease. */
  readonly storeAtMs: number
}

export interface SpaceState {
  readonly span: Span
  readonly gaps: readonly number[]
  readonly live: readonly (readonly [extent: number, bytes: number])[]
}

const spanFields = ({ asOf, anchor, first, last }: Span): Field[] => [
  asOf,
  anchor === undefined ? 0 : anchor + 1,
  first === undefined ? 0 : first + 1,
  last,
]

const readSpan = (payload: Cursor): Span => {
  const asOf = payload.varint()
  const anchor = payload.varint()
  const first = payload.varint()
  return {
    asOf,
    anchor: anchor === 0 ? undefined : anchor - 1,
    first: first === 0 ? undefined : first - 1,
    last: payload.varint(),
  }
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const recordOf = (value: Uint8Array): RecordView => {
  try {
    return recordAt(bufferOf(value), 0, 0)
  } catch (cause) {
    throw new BrokerError(
      'CORRUPT',
      { store: 'index', position: 0, reason: 'a record does not read' },
      { cause },
    )
  }
}

const payloadOf = (value: Uint8Array): Cursor => recordOf(value).payload

export const encodeCursor = (cursor: IndexCursor): Buffer =>
  encodeFields(factType.logOpened, [
    cursor.epoch,
    cursor.offset,
    cursor.nextOwnerId,
    cursor.storeAtMs,
  ])

export const readCursor = (value: Uint8Array): IndexCursor => {
  const payload = payloadOf(value)
  return {
    epoch: payload.varint(),
    offset: payload.varint(),
    nextOwnerId: payload.varint(),
    storeAtMs: payload.varint(),
  }
}

export const encodeSpace = ({ span, gaps, live }: SpaceState): Buffer =>
  encodeFields(factType.logTrimmed, [
    ...spanFields(span),
    gaps.length,
    ...gaps,
    live.length,
    ...live.flat(),
  ])

export const readSpace = (value: Uint8Array): SpaceState => {
  const payload = payloadOf(value)
  const span = readSpan(payload)
  const gaps = Array.from({ length: payload.varint() }, () => payload.varint())
  const live = Array.from(
    { length: payload.varint() },
    () => [payload.varint(), payload.varint()] as const,
  )
  return { span, gaps, live }
}

export const encodeTopicRecord = (span: Span, topic: TopicState): Buffer =>
  encodeFields(factType.topicCarried, [...spanFields(span), ...topicFields(topic)])

export const readTopicRecord = (value: Uint8Array): { span: Span; topic: TopicState } => {
  const { payload, version } = recordOf(value)
  return { span: readSpan(payload), topic: readTopic(payload, version) }
}

export const encodeGroupRecord = (span: Span, group: GroupState): Buffer =>
  encodeFields(factType.groupCreated, [...spanFields(span), ...groupFields(group)])

export const readGroupRecord = (value: Uint8Array): { span: Span; group: GroupState } => {
  const { payload, version } = recordOf(value)
  return { span: readSpan(payload), group: readGroup(payload, version) }
}

/** The span as a record of its own, then the carried fact as it would stand in the log. */
export const encodeDeliveriesRecord = (
  span: Span,
  address: Parameters<typeof encodeDeliveryFact>[0],
  state: DeliveriesState,
): Buffer =>
  Buffer.concat([
    encodeFields(factType.logOpened, spanFields(span)),
    encodeDeliveryFact(address, { type: 'carried', ...state }),
  ])

export const readDeliveriesRecord = (
  value: Uint8Array,
): { span: Span; address: ReturnType<typeof readDeliveriesAddress>; state: DeliveriesState } => {
  const bytes = bufferOf(value)
  const head = recordAt(bytes, 0, 0)
  const body = recordAt(bytes, 0, head.size)
  const address = readDeliveriesAddress(body.payload)
  const fact = readDeliveryFact(factType.deliveriesCarried, body.payload, body.version)
  if (fact.type !== 'carried') throw new RangeError('not a deliveries record')
  return { span: readSpan(head.payload), address, state: fact }
}
