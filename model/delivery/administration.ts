/** Where a group goes on reading: of one queue, or of all queues of a topic. */
export interface OffsetReset {
  readonly topic: string
  /** Missing: every queue. */
  readonly queueId?: number
  readonly to:
    | { readonly at: 'earliest' }
    | { readonly at: 'latest' }
    /** The first message stored at or after this wall time. */
    | { readonly at: 'time'; readonly timeMs: number }
    /** Bounded by what the queue holds. */
    | { readonly at: 'offset'; readonly queueOffset: number }
}

export interface OffsetResetResult {
  readonly queueId: number
  readonly from: number
  readonly to: number
}

/** A message of a dead-letter topic, with where it came from. */
export interface DeadLetter {
  readonly messageId: string
  readonly queueId: number
  readonly queueOffset: number
  readonly storeAtMs: number
  readonly originTopic: string
  readonly originMessageId: string
  readonly reason: string
  readonly bytes: number
}

export interface DeadLetterQuery {
  /** Default 100, at most 1,000. */
  readonly limit?: number
  /** The `next` of the page before. */
  readonly after?: string
}

/** `%DLQ%<group>`, seen from its group. Nothing of it is leased by looking. */
export interface DeadLetterQueue {
  list(
    group: string,
    query?: DeadLetterQuery,
  ): Promise<{ readonly deadLetters: readonly DeadLetter[]; readonly next?: string }>
  /**
   * Sends dead letters back to the topics they came from; each copy and the end of its dead letter
   * are one fact. All of them, or those with these message ids. Resolves with how many.
   */
  redrive(group: string, messageIds?: readonly string[]): Promise<number>
  /** Forgets dead letters for good: all, or those with these message ids. */
  purge(group: string, messageIds?: readonly string[]): Promise<number>
}
