/**
 * A deferred message is stored and in no queue yet: a scheduled one waits for its time, a half
 * message for its producer. Both are told by the same few facts.
 */
export const deferredKinds = ['timer', 'transaction'] as const
export type DeferredKind = (typeof deferredKinds)[number]

/** Where a deferred message lies in the log, and when it is due next. */
export interface DeferredEntry {
  /** Dense, in the order of admission, never reused. */
  readonly id: number
  readonly topicId: number
  /** Wall clock. */
  readonly dueMs: number
  readonly chunk: number
  readonly at: number
  /** Bytes of the whole record. */
  readonly size: number
  /** How often a producer was asked. */
  readonly checks: number
}

/**
 * How it ended: `withdrawn` when it was recalled or rolled back, `released` when it came into its
 * topic, `dropped` with its topic, which nobody needs to remember.
 */
export const deferredOutcomes = ['dropped', 'withdrawn', 'released'] as const
export type DeferredOutcome = (typeof deferredOutcomes)[number]

/** What a fact says of a deferred message that it ends: enough to fold it without looking. */
export interface EndedDeferred {
  readonly id: number
  readonly topicId: number
  readonly dueMs: number
  readonly chunk: number
  readonly size: number
}

export interface RememberedDeferred extends EndedDeferred {
  readonly outcome: DeferredOutcome
  readonly atMs: number
}

export type DeferredFact =
  | {
      readonly type: 'ended'
      readonly outcome: DeferredOutcome
      readonly atMs: number
      readonly entries: readonly EndedDeferred[]
    }
  /** Due at another time, or asked once more. */
  | { readonly type: 'moved'; readonly entry: DeferredEntry; readonly oldDueMs: number }
  /** What ended facts said that have left the log. */
  | { readonly type: 'remembered'; readonly entries: readonly RememberedDeferred[] }
  /** Ids below were given out. */
  | { readonly type: 'numbered'; readonly nextId: number }

/** Later than any time there is: due never, until somebody decides. */
export const DUE_NEVER_MS = 2 ** 48 - 1
