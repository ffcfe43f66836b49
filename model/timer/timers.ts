/** A message that waits for its delivery time. */
export interface PendingTimer {
  /** Names the timer for as long as it is pending; decimal digits. */
  readonly timerId: string
  readonly topic: string
  readonly messageId: string
  readonly tag: string
  readonly keys: readonly string[]
  /** Wall clock. Moves when the timer is rescheduled. */
  readonly dueAtMs: number
  readonly scheduledAtMs: number
  /** Bytes in the log. */
  readonly bytes: number
}

export interface TimerQuery {
  readonly topic?: string
  /** Due at or after, wall clock. */
  readonly fromMs?: number
  /** Due before, wall clock. */
  readonly toMs?: number
  readonly key?: string
  readonly messageId?: string
  /** Default 100, at most 1,000. */
  readonly limit?: number
  /** The `next` of the page before. */
  readonly after?: string
}

export interface TimerPage {
  /** In order of due time. */
  readonly timers: readonly PendingTimer[]
  /** Undefined on the last page. */
  readonly next?: string
}

/**
 * What became of a recall. `recalled` is repeated when asked again; `forgotten` is a genuine
 * handle whose timer ended longer ago than `recallMemoryMs`.
 */
export type RecallOutcome = 'recalled' | 'delivered' | 'forgotten' | 'invalid'

export interface RecallResult {
  readonly outcome: RecallOutcome
  /** Of the scheduled message; missing for `invalid`. */
  readonly messageId?: string
}

/** Scheduled messages that are not in their topic yet. */
export interface Timers {
  /** How many wait, of one topic or of all: the size of a set, free to read. */
  count(topic?: string): number
  list(query?: TimerQuery): Promise<TimerPage>
  /** Undefined when no such timer is pending. */
  show(timerId: string): Promise<PendingTimer | undefined>
  /**
   * Ends a timer by the handle that its send returned; durable when it resolves. `topic` is what
   * the caller believes: a handle of another topic is `invalid`.
   */
  recall(topic: string, recallHandle: string): Promise<RecallResult>
  /** Ends one by its id. False when it was not pending any more. */
  cancel(timerId: string): Promise<boolean>
  /** Ends all that match (paging is ignored). Resolves with how many were ended. */
  cancelAll(query: TimerQuery): Promise<number>
  /** Throws `TIMER_NOT_FOUND` when it is not pending, `DELIVERY_TIME_ILLEGAL` beyond the horizon. */
  reschedule(timerId: string, dueAtMs: number): Promise<PendingTimer>
  /** Puts the message into its topic now. Throws `TIMER_NOT_FOUND`. */
  fire(timerId: string): Promise<void>
}
