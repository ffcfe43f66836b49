import type { AckedFact, ExtendedFact, ExtensionCause } from '../../model/delivery/facts.ts'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import { BrokerError } from '../../model/errors.ts'
import { type Deliveries, leaseState } from './deliveries.ts'

export interface Now {
  readonly wallMs: number
  readonly monotonicMs: number
}

const expired = () => new BrokerError('RECEIPT_HANDLE_EXPIRED', {})

/**
 * The slot that a handle names, if it is the newest delivery and in time; -1 when the message
 * is acknowledged or was never leased as far as we know.
 */
export const heldSlot = (deliveries: Deliveries, handle: ReceiptHandle, now: Now): number => {
  const { table } = deliveries
  const slot = table.find(handle.queueOffset)
  if (slot < 0) return -1
  const state = table.state[slot]
  if (state === leaseState.leased) {
    const isNewest =
      table.attempt[slot] === handle.attempt && table.generation[slot] === handle.generation
    if (!isNewest || (table.deadline[slot] as number) <= now.monotonicMs) throw expired()
    return slot
  }
  if (state !== leaseState.available) throw expired()
  // Available: it is this delivery's own deadline that passed, unless a crash lost the lease.
  if ((table.attempt[slot] as number) >= handle.attempt || isLate(handle, now)) throw expired()
  return -1
}

const isLate = (handle: ReceiptHandle, now: Now): boolean => handle.invisibleUntilMs <= now.wallMs

/**
 * Ends a delivery. Nothing to do when it was acknowledged before. A genuine handle in time
 * whose lease a crash has lost is honoured as long as nobody was given the message since.
 */
export const decideAck = (
  deliveries: Deliveries,
  handle: ReceiptHandle,
  now: Now,
): AckedFact | undefined => {
  const { queueOffset } = handle
  const isAhead = queueOffset >= deliveries.next
  const slot = heldSlot(deliveries, handle, now)
  const isKnown = deliveries.table.find(queueOffset) >= 0
  if (slot < 0 && !isAhead && !isKnown) return undefined
  if (isAhead && isLate(handle, now)) throw expired()
  return { type: 'acked', runs: [queueOffset, 1] }
}

export interface Extension {
  readonly invisibleMs: number
  readonly cause: ExtensionCause
}

/** Moves a delivery's deadline. A change by the client makes a new generation of the handle. */
export const decideExtend = (
  deliveries: Deliveries,
  handle: ReceiptHandle,
  { invisibleMs, cause }: Extension,
  now: Now,
): ExtendedFact => {
  const { queueOffset, attempt } = handle
  const slot = heldSlot(deliveries, handle, now)
  const isAhead = queueOffset >= deliveries.next
  if (slot < 0 && !isAhead && deliveries.table.find(queueOffset) < 0) throw expired()
  if (isAhead && isLate(handle, now)) throw expired()
  const keepsGeneration = cause === 'renewed' || cause === 'sessionLost'
  return {
    type: 'extended',
    queueOffset,
    attempt,
    generation: keepsGeneration ? handle.generation : (handle.generation + 1) & 0xffff,
    invisibleUntilMs: Math.ceil(now.wallMs + invisibleMs),
    cause,
  }
}
