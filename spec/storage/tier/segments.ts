import fc from 'fast-check'
import { encodeSystem } from '../../../model/message/system-block.ts'
import { factType } from '../../../storage/codec/fact-type.ts'
import { messageRecordSize, putMessage } from '../../../storage/codec/message-fact.ts'
import { idHash, keyHash } from '../../../storage/codec/message-names.ts'
import type { Unit } from '../../../storage/codec/unit-block.ts'
import type { SegmentIdentity } from '../../../storage/tier/segment-format.ts'
import { SegmentWriter, type WrittenSegment } from '../../../storage/tier/segment-writer.ts'

/** Messages as they are given to a `SegmentWriter`, and what must come out again. */
export interface Message {
  readonly unit: Unit
  readonly record: Buffer
  readonly storeAtMs: number
  /** Hashes of its id and keys. */
  readonly names: readonly number[]
}

export interface Section {
  readonly queueId: number
  readonly from: number
  readonly messages: readonly Message[]
}

export const KEY = '0123456789abcdef/7/3-0000000000000005.segment'
export const TOPIC_ID = 7

export const identityOf = (token = 'ab'): SegmentIdentity => ({
  token: token.repeat(16),
  namespace: '0123456789abcdef',
  topicId: TOPIC_ID,
  topic: 'orders',
})

const aText = fc.oneof(fc.constantFrom('', 'a', 'b'), fc.string({ maxLength: 9 }))

export const aDraft = (bodyBytes: fc.Arbitrary<number>) =>
  fc.record({
    type: fc.constantFrom<number>(
      factType.messageAppended,
      factType.messageCarried,
      factType.timerFired,
      factType.messageRedriven,
    ),
    messageId: aText,
    keys: fc.array(aText, { maxLength: 3 }),
    tagsCode: fc.nat(2 ** 31 - 1),
    groupHash: fc.nat(2 ** 31 - 1),
    chunk: fc.nat(2 ** 47),
    at: fc.nat(2 ** 20),
    storeAtMs: fc.nat(2 ** 41),
    bodyBytes,
  })
export type Draft = ReturnType<typeof aDraft> extends fc.Arbitrary<infer T> ? T : never

const prefixSizes: Readonly<Record<number, number>> = { 1: 0, 2: 2, 4: 4, 6: 3 }

export const plainDraft: Draft = {
  type: factType.messageAppended,
  messageId: '',
  keys: [],
  tagsCode: 0,
  groupHash: 0,
  chunk: 0,
  at: 44,
  storeAtMs: 1000,
  bodyBytes: 0,
}

export const messageOf = (draft: Draft, queueId: number, queueOffset: number): Message => {
  const { type, messageId, keys, tagsCode, groupHash, chunk, at, storeAtMs } = draft
  const place = { topicId: TOPIC_ID, queueId, queueOffset, storeAtMs }
  const fields = { messageId, keys, tag: '', messageGroup: '', bornAtMs: 1, bornHost: 'here' }
  const system = encodeSystem({ ...fields, traceContext: '' })
  const properties = Buffer.from('p')
  const body = Buffer.alloc(draft.bodyBytes, queueOffset)
  const content = { type: 'NORMAL' as const, tagsCode, groupHash, system, properties, body }
  const prefix = [1, 2, 3, 4].slice(0, prefixSizes[type])
  const record = Buffer.alloc(messageRecordSize(place, content, prefix))
  putMessage(record, 0, place, content, { type, prefix })
  const named = keys.filter((key) => key !== '').map((key) => keyHash(TOPIC_ID, key))
  const names = messageId === '' ? named : [...named, idHash(messageId)]
  return { unit: { chunk, at, size: record.length, tagsCode, groupHash }, record, storeAtMs, names }
}

/** Sections of different queues, in the order in which they are written. */
export const someSections = (
  bodyBytes: fc.Arbitrary<number>,
  { messagesMax = 8 } = {},
): fc.Arbitrary<Section[]> =>
  fc.uniqueArray(
    fc
      .tuple(
        fc.oneof(fc.nat(3), fc.constant(65_535)),
        fc.oneof(fc.nat(5), fc.nat(2 ** 45)),
        fc.array(aDraft(bodyBytes), { minLength: 1, maxLength: messagesMax }),
      )
      .map(([queueId, from, drafts]) => sectionOf(queueId, from, drafts)),
    { selector: ({ queueId }) => queueId, minLength: 1, maxLength: 4 },
  )

export const sectionOf = (queueId: number, from: number, drafts: readonly Draft[]): Section => ({
  queueId,
  from,
  messages: drafts.map((draft, index) => messageOf(draft, queueId, from + index)),
})

/** More than enough for all of it. */
export const roomFor = (sections: readonly Section[]): number =>
  sections
    .flatMap(({ messages }) => messages)
    .reduce(
      (sum, { record, names }) => sum + SegmentWriter.bytesFor(record.length, names.length),
      1000,
    )

/** Writes everything; all of it must fit. */
export const write = (sections: readonly Section[], identity = identityOf()): WrittenSegment => {
  const { segment, left } = writeWhatFits(Buffer.alloc(roomFor(sections), 0xee), sections, identity)
  if (left > 0 || segment === undefined) throw new Error(`${left} messages did not fit`)
  return segment
}

export interface Fitted {
  /** Undefined when nothing fitted. */
  readonly segment: WrittenSegment | undefined
  /** What went in of each section, and how many messages did not. */
  readonly fitted: readonly Section[]
  readonly left: number
}

export const writeWhatFits = (
  buffer: Buffer,
  sections: readonly Section[],
  identity = identityOf(),
): Fitted => {
  const writer = new SegmentWriter(buffer, identity)
  const fitted: Section[] = []
  let left = 0
  for (const section of sections) {
    writer.beginSection(section.queueId, section.from)
    const full = section.messages.findIndex(
      ({ unit, record, storeAtMs }) => !writer.add(unit, record, storeAtMs),
    )
    const messages = full < 0 ? section.messages : section.messages.slice(0, full)
    left += section.messages.length - messages.length
    if (messages.length === 0) continue
    writer.endSection()
    fitted.push({ ...section, messages })
  }
  return { segment: fitted.length === 0 ? undefined : writer.finish(), fitted, left }
}

/** What lies in `spec/fixtures/segment-1.hex`. */
export const golden: readonly Section[] = [
  sectionOf(3, 2 ** 40, [
    { ...plainDraft, messageId: 'id-1', keys: ['red', 'blue'], tagsCode: 112, chunk: 2 ** 46 },
    { ...plainDraft, messageId: 'id-2', keys: ['red'], bodyBytes: 5, storeAtMs: 2 ** 40 },
  ]),
  sectionOf(0, 0, [
    { ...plainDraft, type: factType.timerFired, groupHash: 0xffff_ffff, bodyBytes: 3 },
    { ...plainDraft, type: factType.messageCarried, messageId: 'id-3', tagsCode: 0xffff_ffff },
  ]),
]
