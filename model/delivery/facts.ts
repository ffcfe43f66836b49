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
}

export const extensionCauses = ['extended', 'negativeAck', 'renewed', 'sessionLost'] as const
export type ExtensionCause = (typeof extensionCauses)[number]

export interface ExtendedFact {
  readonly type: 'extended'
  readonly queueOffset: number
  readonly attempt: number
  readonly generation: number
  readonly invisibleUntilMs: number
  readonly cause: ExtensionCause
}

export interface AckedFact {
  readonly type: 'acked'
  readonly runs: OffsetRuns
}

export interface UnackedEntry {
  readonly queueOffset: number
  /** 0 when it was passed over but never delivered. */
  readonly attempt: number
  readonly generation: number
  readonly invisibleUntilMs: number
  readonly autoRenew: boolean
}

/** The whole state at once: what a checkpoint keeps and what is carried forward in the log. */
export interface DeliveriesState {
  readonly next: number
  readonly unacked: readonly UnackedEntry[]
}

export type DeliveriesCarriedFact = { readonly type: 'carried' } & DeliveriesState

export type DeliveryFact = LeasedFact | ExtendedFact | AckedFact | DeliveriesCarriedFact

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
