import {
  type DeliveriesAddress,
  type DeliveryFact,
  extensionCauses,
  type UnackedEntry,
} from '../../model/delivery/facts.ts'
import type { Cursor } from '../../model/wire/varint.ts'
import { factType } from './fact-type.ts'
import { encodeFields, type Field, readText } from './fields.ts'

/** Runs as gaps and counts: 2 bytes for a contiguous batch, whatever the offsets. */
const runFields = (runs: readonly number[], width: 2 | 3): number[] => {
  const fields: number[] = [runs.length / width]
  let end = 0
  for (let index = 0; index < runs.length; index += width) {
    const start = runs[index] as number
    const count = runs[index + 1] as number
    fields.push(start - end, count)
    if (width === 3) fields.push(runs[index + 2] as number)
    end = start + count
  }
  return fields
}

const readRuns = (payload: Cursor, width: 2 | 3): number[] => {
  const runs: number[] = []
  const count = payload.varint()
  let end = 0
  for (let index = 0; index < count; index++) {
    const start = end + payload.varint()
    const length = payload.varint()
    runs.push(start, length)
    if (width === 3) runs.push(payload.varint())
    end = start + length
  }
  return runs
}

const entryFields = (entries: readonly UnackedEntry[]): number[] => {
  const fields: number[] = [entries.length]
  let previous = 0
  for (const entry of entries) {
    fields.push(entry.queueOffset - previous, entry.attempt, entry.generation)
    fields.push(entry.invisibleUntilMs, entry.autoRenew ? 1 : 0)
    previous = entry.queueOffset
  }
  return fields
}

const readEntries = (payload: Cursor): UnackedEntry[] => {
  let previous = 0
  return Array.from({ length: payload.varint() }, () => {
    const queueOffset = previous + payload.varint()
    previous = queueOffset
    return {
      queueOffset,
      attempt: payload.varint(),
      generation: payload.varint(),
      invisibleUntilMs: payload.varint(),
      autoRenew: payload.varint() === 1,
    }
  })
}

const typeOf = {
  leased: factType.leased,
  extended: factType.extended,
  acked: factType.acked,
  carried: factType.deliveriesCarried,
} as const satisfies Record<DeliveryFact['type'], number>

const fieldsOf = (fact: DeliveryFact): Field[] => {
  switch (fact.type) {
    case 'leased':
      return [
        fact.invisibleUntilMs,
        fact.autoRenew ? 1 : 0,
        fact.attemptId,
        ...runFields(fact.runs, 3),
      ]
    case 'extended':
      return [
        fact.queueOffset,
        fact.attempt,
        fact.generation,
        fact.invisibleUntilMs,
        extensionCauses.indexOf(fact.cause),
      ]
    case 'acked':
      return runFields(fact.runs, 2)
    case 'carried':
      return [fact.next, ...entryFields(fact.unacked)]
  }
}

/** A whole record: at most 24 bytes for a single ack. */
export const encodeDeliveryFact = (address: DeliveriesAddress, fact: DeliveryFact): Buffer =>
  encodeFields(typeOf[fact.type], [
    address.groupId,
    address.topicId,
    address.queueId,
    ...fieldsOf(fact),
  ])

export const isDeliveryFact = (type: number): boolean =>
  type >= factType.leased && type <= factType.deliveriesCarried

export const readDeliveriesAddress = (payload: Cursor): DeliveriesAddress => ({
  groupId: payload.varint(),
  topicId: payload.varint(),
  queueId: payload.varint(),
})

/** Reads what follows the address. */
export const readDeliveryFact = (type: number, payload: Cursor): DeliveryFact => {
  switch (type) {
    case factType.leased:
      return {
        type: 'leased',
        invisibleUntilMs: payload.varint(),
        autoRenew: payload.varint() === 1,
        attemptId: readText(payload),
        runs: readRuns(payload, 3),
      }
    case factType.extended:
      return {
        type: 'extended',
        queueOffset: payload.varint(),
        attempt: payload.varint(),
        generation: payload.varint(),
        invisibleUntilMs: payload.varint(),
        cause: extensionCauses[payload.varint()] ?? 'extended',
      }
    case factType.acked:
      return { type: 'acked', runs: readRuns(payload, 2) }
    default:
      return { type: 'carried', next: payload.varint(), unacked: readEntries(payload) }
  }
}
