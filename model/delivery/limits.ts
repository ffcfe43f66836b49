import { BrokerError } from '../errors.ts'

/** Limits of the reference proxy (`reference/grpc` sections 4.5, 4.7 and 9). */
export const deliveryLimits = {
  batchMax: 32,
  receiveInvisibleMsMin: 10_000,
  invisibleMsMax: 12 * 3_600_000,
  autoRenewInvisibleMs: 60_000,
  autoRenewMsMax: 3 * 3_600_000,
  /** Leases of a lost session become visible after this. */
  sessionLostMs: 1_000,
  pollMsMin: 5_000,
  pollMsMax: 20_000,
  attemptsMaxDefault: 17,
} as const

export const checkInvisibleMs = (invisibleMs: number, minMs: number): void => {
  const maxMs = deliveryLimits.invisibleMsMax
  if (!(invisibleMs >= minMs && invisibleMs <= maxMs))
    throw new BrokerError('INVISIBLE_DURATION_ILLEGAL', { invisibleMs, minMs, maxMs })
}
