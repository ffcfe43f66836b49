import {
  type DeferredEntry,
  type DeferredFact,
  type DeferredKind,
  type DeferredOutcome,
  deferredOutcomes,
  type EndedDeferred,
} from '../../model/deferred/deferred.ts'
import type { Cursor } from '../../model/wire/varint.ts'
import { factType } from './fact-type.ts'
import { encodeFields, type Field } from './fields.ts'
import {
  type CarriedFrom,
  type MessageFact,
  readMessage,
  readReleased,
  type ReleasedDeferred,
} from './message-fact.ts'

/** A message in no queue yet, after the numbers that its record begins with. */
export interface DeferredMessage {
  readonly kind: DeferredKind
  readonly id: number
  readonly dueMs: number
  readonly checks: number
  /** Half messages only: due so much later than their commit; 0 is at once. */
  readonly deliverAtMs: number
  readonly carriedFrom: CarriedFrom | undefined
  /** The half message that became a scheduled one. */
  readonly releases: ReleasedDeferred | undefined
  /** The schedule whose run it is; undefined once it was carried. */
  readonly scheduleId: number | undefined
  readonly message: MessageFact
}

const types = {
  timer: {
    added: factType.timerScheduled,
    carried: factType.timerCarried,
    ended: factType.timersEnded,
    moved: factType.timerMoved,
    remembered: factType.timersRemembered,
    numbered: factType.timersNumbered,
    released: factType.timerFired,
  },
  transaction: {
    added: factType.transactionPrepared,
    carried: factType.transactionCarried,
    ended: factType.transactionsEnded,
    moved: factType.transactionChecked,
    remembered: factType.transactionsRemembered,
    numbered: factType.transactionsNumbered,
    released: factType.transactionCommitted,
  },
} as const satisfies Record<DeferredKind, Record<string, number>>

export const deferredType = (kind: DeferredKind): (typeof types)[DeferredKind] => types[kind]

/** Types of records that hold a deferred message. */
export const isDeferredMessage = (type: number): boolean =>
  type === factType.timerScheduled ||
  type === factType.timerCarried ||
  type === factType.transactionScheduled ||
  type === factType.runPlanned ||
  type === factType.transactionPrepared ||
  type === factType.transactionCarried

export const deferredKindOf = (type: number): DeferredKind | undefined => {
  if (type >= factType.timerScheduled && type <= factType.transactionScheduled) return 'timer'
  if (type === factType.runPlanned) return 'timer'
  if (type >= factType.transactionPrepared && type <= factType.transactionsNumbered)
    return 'transaction'
  return undefined
}

// ——— records that hold a message: numbers, then the message

export const scheduledPrefix = (id: number, dueMs: number): readonly number[] => [id, dueMs]

/** A run of a schedule: which one, then the timer. */
export const runPrefix = (scheduleId: number, id: number, dueMs: number): readonly number[] => [
  scheduleId,
  id,
  dueMs,
]

/** A commit that schedules: what it ends, then the timer. */
export const committedPrefix = (
  half: Omit<ReleasedDeferred, 'kind'>,
  id: number,
  dueMs: number,
): readonly number[] => [half.id, half.dueMs, half.chunk, half.size, id, dueMs]

export const preparedPrefix = (
  id: number,
  dueMs: number,
  deliverAtMs: number,
): readonly number[] => [id, dueMs, deliverAtMs]

export const deferredCarriedPrefix = (
  from: CarriedFrom,
  { kind, id, dueMs, checks, deliverAtMs }: Omit<DeferredMessage, 'carriedFrom' | 'message'>,
): readonly number[] =>
  kind === 'timer'
    ? [from.chunk, from.size, id, dueMs]
    : [from.chunk, from.size, id, dueMs, checks, deliverAtMs]

export const readDeferredMessage = (type: number, payload: Cursor): DeferredMessage => {
  const kind = deferredKindOf(type) ?? 'timer'
  const isCarried = type === factType.timerCarried || type === factType.transactionCarried
  const carriedFrom = isCarried ? { chunk: payload.varint(), size: payload.varint() } : undefined
  const releases =
    type === factType.transactionScheduled ? readReleased('transaction', payload) : undefined
  const scheduleId = type === factType.runPlanned ? payload.varint() : undefined
  const id = payload.varint()
  const dueMs = payload.varint()
  const checks = type === factType.transactionCarried ? payload.varint() : 0
  const deliverAtMs = kind === 'transaction' ? payload.varint() : 0
  const message = readMessage(factType.messageAppended, payload)
  const when = { id, dueMs, checks, deliverAtMs }
  return { kind, ...when, carriedFrom, releases, scheduleId, message }
}

// ——— records of numbers

const endedFields = ({ id, topicId, dueMs, chunk, size }: EndedDeferred): Field[] => [
  id,
  topicId,
  dueMs,
  chunk,
  size,
]

const readEnded = (payload: Cursor): EndedDeferred => ({
  id: payload.varint(),
  topicId: payload.varint(),
  dueMs: payload.varint(),
  chunk: payload.varint(),
  size: payload.varint(),
})

const readOutcome = (payload: Cursor): DeferredOutcome =>
  deferredOutcomes[payload.varint()] ?? 'dropped'

const fieldsOf = (fact: DeferredFact): Field[] => {
  switch (fact.type) {
    case 'ended': {
      const { outcome, atMs, entries } = fact
      const head = [deferredOutcomes.indexOf(outcome), atMs, entries.length]
      return [...head, ...entries.flatMap(endedFields)]
    }
    case 'moved': {
      const { entry, oldDueMs } = fact
      return [...endedFields(entry), entry.at, entry.checks, oldDueMs]
    }
    case 'remembered':
      return [
        fact.entries.length,
        ...fact.entries.flatMap((entry) => [
          deferredOutcomes.indexOf(entry.outcome),
          entry.atMs,
          ...endedFields(entry),
        ]),
      ]
    case 'numbered':
      return [fact.nextId]
  }
}

export const encodeDeferredFact = (kind: DeferredKind, fact: DeferredFact): Buffer =>
  encodeFields(types[kind][fact.type], fieldsOf(fact))

const readMoved = (payload: Cursor): { entry: DeferredEntry; oldDueMs: number } => {
  const ended = readEnded(payload)
  const entry = { ...ended, at: payload.varint(), checks: payload.varint() }
  return { entry, oldDueMs: payload.varint() }
}

/** Reads one of the records without a message. */
export const readDeferredFact = (type: number, payload: Cursor): DeferredFact => {
  switch (type) {
    case factType.timersEnded:
    case factType.transactionsEnded:
      return {
        type: 'ended',
        outcome: readOutcome(payload),
        atMs: payload.varint(),
        entries: Array.from({ length: payload.varint() }, () => readEnded(payload)),
      }
    case factType.timerMoved:
    case factType.transactionChecked:
      return { type: 'moved', ...readMoved(payload) }
    case factType.timersRemembered:
    case factType.transactionsRemembered:
      return {
        type: 'remembered',
        entries: Array.from({ length: payload.varint() }, () => ({
          outcome: readOutcome(payload),
          atMs: payload.varint(),
          ...readEnded(payload),
        })),
      }
    default:
      return { type: 'numbered', nextId: payload.varint() }
  }
}
