import type { DeliveryCause } from './causes.ts'

/** Names the deliveries of one group on one queue, by incarnations. */
export interface DeliveriesAddress {
  readonly groupId: number
  readonly topicId: number
  readonly queueId: number
}

/** `[offset, count]` pairs, flat and ascending: offsets that stand side by side are one run. */
export type OffsetRuns = readonly number[]

/** `[offset, count, attempt]` triples, flat and ascending. */
export type LeaseRuns = readonly number[]

export interface LeasedFact {
  readonly type: 'leased'
  readonly runs: LeaseRuns
  /** Wall clock. */
  readonly invisibleUntilMs: number
  readonly autoRenew: boolean
  readonly attemptId: string
  /** The log's epoch, as in the handles. 0 in facts of the first version, which had none. */
  readonly epoch: number
  /** The client whose session renews the leases; empty for none. */
  readonly clientId: string
}

/** On disk by position. `recovered`: a genuine handle restored a lease that a crash has lost. */
export const extensionCauses = [
  'extended',
  'negativeAck',
  'renewed',
  'sessionLost',
  'recovered',
] as const
export type ExtensionCause = (typeof extensionCauses)[number]

export interface ExtendedFact {
  readonly type: 'extended'
  readonly queueOffset: number
  readonly attempt: number
  readonly generation: number
  readonly invisibleUntilMs: number
  readonly cause: ExtensionCause
  /** Of the lease. */
  readonly epoch: number
}

export interface AckedFact {
  readonly type: 'acked'
  readonly runs: OffsetRuns
}

/** The group goes on at `next`, which was below or above; nothing of before counts any more. */
export interface OffsetsResetFact {
  readonly type: 'reset'
  readonly next: number
}

export interface UnackedEntry {
  readonly queueOffset: number
  /** 0 when it was passed over but never delivered. */
  readonly attempt: number
  readonly generation: number
  readonly invisibleUntilMs: number
  readonly autoRenew: boolean
  /** Why it comes again when it does. */
  readonly cause: DeliveryCause
  /** In which its newest lease was granted; 0 for none, or unknown. */
  readonly epoch: number
  /** Who renews its lease; empty for nobody. */
  readonly clientId: string
  /** How often it was renewed. */
  readonly renewals: number
}

/** What an attempt id was given, as `[offset, attempt]` pairs, flat: what is still leased of it. */
export interface AttemptEntry {
  readonly attemptId: string
  readonly leases: readonly number[]
}

/** The whole state at once: what a checkpoint keeps and what is carried forward in the log. */
export interface DeliveriesState {
  readonly next: number
  /** How often offsets were reset: handles of before name a smaller number. */
  readonly resets: number
  /** What is below and was not delivered since the last reset comes because of it. */
  readonly resetEnd: number
  readonly attempts: readonly AttemptEntry[]
  readonly unacked: readonly UnackedEntry[]
}

export type DeliveriesCarriedFact = { readonly type: 'carried' } & DeliveriesState

export type DeliveryFact =
  | LeasedFact
  | ExtendedFact
  | AckedFact
  | DeliveriesCarriedFact
  | OffsetsResetFact

/** Appends an offset to runs under construction. */
export const pushOffset = (runs: number[], offset: number): void => {
  const last = runs.length - 2
  if (last >= 0 && (runs[last] as number) + (runs[last + 1] as number) === offset)
    runs[last + 1] = (runs[last + 1] as number) + 1
  else runs.push(offset, 1)
}

/** Appends a lease to runs under construction. */
export const pushLease = (runs: number[], offset: number, attempt: number): void => {
  const last = runs.length - 3
  if (
    last >= 0 &&
    (runs[last] as number) + (runs[last + 1] as number) === offset &&
    runs[last + 2] === attempt
  )
    runs[last + 1] = (runs[last + 1] as number) + 1
  else runs.push(offset, 1, attempt)
}
