import { deliveryCauses } from '../../model/delivery/causes.ts'
import {
  type DeliveriesAddress,
  type DeliveriesState,
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

/** Clients of auto-renewed leases stand once, before the entries that name them by position + 1. */
const stateFields = (state: DeliveriesState): Field[] => {
  const clients = [...new Set(state.unacked.map(({ clientId }) => clientId))].filter(Boolean)
  const fields: Field[] = [state.next, state.resets, state.resetEnd, clients.length, ...clients]
  fields.push(state.attempts.length)
  for (const { attemptId, leases } of state.attempts)
    fields.push(attemptId, leases.length, ...leases)
  fields.push(state.unacked.length)
  let previous = 0
  for (const entry of state.unacked) {
    fields.push(entry.queueOffset - previous, entry.attempt, entry.generation)
    fields.push(entry.invisibleUntilMs, entry.autoRenew ? 1 : 0)
    fields.push(deliveryCauses.indexOf(entry.cause), entry.epoch)
    fields.push(clients.indexOf(entry.clientId) + 1, entry.renewals)
    previous = entry.queueOffset
  }
  return fields
}

const readState = (payload: Cursor, version: number): DeliveriesState => {
  const next = payload.varint()
  if (version === 1)
    return {
      next,
      resets: 0,
      resetEnd: 0,
      attempts: [],
      unacked: readEntries(payload, version, []),
    }
  const resets = payload.varint()
  const resetEnd = payload.varint()
  const clients = Array.from({ length: payload.varint() }, () => readText(payload))
  const attempts = Array.from({ length: payload.varint() }, () => ({
    attemptId: readText(payload),
    leases: Array.from({ length: payload.varint() }, () => payload.varint()),
  }))
  return { next, resets, resetEnd, attempts, unacked: readEntries(payload, version, clients) }
}

const readEntries = (
  payload: Cursor,
  version: number,
  clients: readonly string[],
): UnackedEntry[] => {
  let previous = 0
  return Array.from({ length: payload.varint() }, () => {
    const queueOffset = previous + payload.varint()
    previous = queueOffset
    const attempt = payload.varint()
    const head = {
      queueOffset,
      attempt,
      generation: payload.varint(),
      invisibleUntilMs: payload.varint(),
      autoRenew: payload.varint() === 1,
    }
    if (version === 1) {
      const cause = attempt === 0 ? 'first' : 'deadline'
      return { ...head, cause, epoch: 0, clientId: '', renewals: 0 } as const
    }
    return {
      ...head,
      cause: deliveryCauses[payload.varint()] ?? 'deadline',
      epoch: payload.varint(),
      clientId: clients[payload.varint() - 1] ?? '',
      renewals: payload.varint(),
    }
  })
}

const typeOf = {
  leased: factType.leased,
  extended: factType.extended,
  acked: factType.acked,
  carried: factType.deliveriesCarried,
  reset: factType.offsetsReset,
} as const satisfies Record<DeliveryFact['type'], number>

const fieldsOf = (fact: DeliveryFact): Field[] => {
  switch (fact.type) {
    case 'leased':
      return [
        fact.invisibleUntilMs,
        fact.autoRenew ? 1 : 0,
        fact.attemptId,
        fact.epoch,
        fact.clientId,
        ...runFields(fact.runs, 3),
      ]
    case 'extended':
      return [
        fact.queueOffset,
        fact.attempt,
        fact.generation,
        fact.invisibleUntilMs,
        extensionCauses.indexOf(fact.cause),
        fact.epoch,
      ]
    case 'acked':
      return runFields(fact.runs, 2)
    case 'carried':
      return stateFields(fact)
    case 'reset':
      return [fact.next]
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
  type >= factType.leased && type <= factType.offsetsReset

export const readDeliveriesAddress = (payload: Cursor): DeliveriesAddress => ({
  groupId: payload.varint(),
  topicId: payload.varint(),
  queueId: payload.varint(),
})

/** Reads what follows the address. */
export const readDeliveryFact = (type: number, payload: Cursor, version: number): DeliveryFact => {
  switch (type) {
    case factType.leased:
      return {
        type: 'leased',
        invisibleUntilMs: payload.varint(),
        autoRenew: payload.varint() === 1,
        attemptId: readText(payload),
        epoch: version === 1 ? 0 : payload.varint(),
        clientId: version === 1 ? '' : readText(payload),
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
        epoch: version === 1 ? 0 : payload.varint(),
      }
    case factType.acked:
      return { type: 'acked', runs: readRuns(payload, 2) }
    case factType.offsetsReset:
      return { type: 'reset', next: payload.varint() }
    default:
      return { type: 'carried', ...readState(payload, version) }
  }
}
