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
 * is acknowledged or lies ahead. A genuine handle of which we do not know is newer than all we
 * know: a crash has lost its lease, and it is honoured until its own deadline.
 */
export const heldSlot = (deliveries: Deliveries, handle: ReceiptHandle, now: Now): number => {
  const { table } = deliveries
  const slot = table.find(handle.queueOffset)
  if (slot < 0) return -1
  if (handle.resets !== deliveries.resets) throw expired()
  const state = table.state[slot]
  const age = ageOf(deliveries, slot, handle)
  const isCurrent = state === leaseState.leased && age === 0
  if (isCurrent && (table.deadline[slot] as number) > now.monotonicMs) return slot
  const isFree = state === leaseState.leased || state === leaseState.available
  if (isCurrent || !isFree || age >= 0 || isLate(handle, now)) throw expired()
  return slot
}

/**
 * Positive when the handle is older than what we know of its message, negative when newer. After
 * a crash attempts may be counted anew: then the epoch of the lease tells which was first.
 */
const ageOf = (
  { table }: Deliveries,
  slot: number,
  { attempt, generation, epoch }: ReceiptHandle,
): number => {
  const granted = table.epoch[slot] as number
  if (granted > 0 && granted !== epoch) return granted - epoch
  return (
    (table.attempt[slot] as number) - attempt || (table.generation[slot] as number) - generation
  )
}

const isLate = (handle: ReceiptHandle, now: Now): boolean => handle.invisibleUntilMs <= now.wallMs

/** Of a message that we never delivered, as far as we know: a crash has lost the lease. */
const checkLost = (deliveries: Deliveries, handle: ReceiptHandle, now: Now): void => {
  if (handle.resets !== deliveries.resets || isLate(handle, now)) throw expired()
}

/** Ends a delivery. Nothing to do when it was acknowledged before. */
export const decideAck = (
  deliveries: Deliveries,
  handle: ReceiptHandle,
  now: Now,
): AckedFact | undefined => {
  const { queueOffset } = handle
  if (queueOffset >= deliveries.next) checkLost(deliveries, handle, now)
  else if (heldSlot(deliveries, handle, now) < 0) return undefined
  return { type: 'acked', runs: [queueOffset, 1] }
}

/** What restores a lease that a crash has lost; undefined when there is nothing to restore. */
export const decideRestore = (
  deliveries: Deliveries,
  handle: ReceiptHandle,
  now: Now,
): ExtendedFact | undefined => {
  const { queueOffset, attempt, generation, invisibleUntilMs, epoch } = handle
  if (queueOffset < deliveries.next) return undefined
  checkLost(deliveries, handle, now)
  return {
    type: 'extended',
    ...{ queueOffset, attempt, generation, invisibleUntilMs, epoch },
    cause: 'recovered',
  }
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
  const { queueOffset, attempt, epoch } = handle
  if (queueOffset >= deliveries.next) checkLost(deliveries, handle, now)
  else if (heldSlot(deliveries, handle, now) < 0) throw expired()
  const keepsGeneration = cause === 'renewed' || cause === 'sessionLost'
  return {
    type: 'extended',
    queueOffset,
    attempt,
    generation: keepsGeneration ? handle.generation : (handle.generation + 1) & 0xffff,
    invisibleUntilMs: Math.ceil(now.wallMs + invisibleMs),
    cause,
    epoch,
  }
}
