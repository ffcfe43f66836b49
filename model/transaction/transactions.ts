import type { StoredMessage } from '../message/message.ts'

export type TransactionResolution = 'commit' | 'rollback'

/** A half message: stored, shown to nobody, waiting for its producer's decision. */
export interface PendingTransaction {
  readonly transactionId: string
  readonly topic: string
  readonly messageId: string
  readonly preparedAtMs: number
  /** How often a producer was asked. */
  readonly checks: number
  /** Wall clock; undefined once all checks are used up and it is parked for an operator. */
  readonly nextCheckAtMs?: number
  readonly state: 'pending' | 'parked'
  /** Bytes in the log. */
  readonly bytes: number
}

/** Asks one producer what became of a transaction. */
export interface TransactionCheck {
  readonly transactionId: string
  readonly message: StoredMessage
}

/** A producer that can be asked, for as long as its stream is open. */
export interface TransactionChecker {
  /** Topics it publishes to. */
  readonly topics: ReadonlySet<string>
  /** Asked about this one only, and before others; forgotten when it is resolved. */
  readonly transactionId?: string
  /** False when it could not be asked; somebody else is tried. */
  check(check: TransactionCheck): boolean
}

export interface Transactions {
  /** How many half messages wait, of one topic or of all: the size of a set. */
  count(topic?: string): number
  list(query?: {
    readonly topic?: string
    readonly limit?: number
    readonly after?: string
  }): Promise<{
    readonly transactions: readonly PendingTransaction[]
    readonly next?: string
  }>
  /**
   * Commits or rolls back; durable when it resolves. Repeating the same resolution is harmless;
   * `TRANSACTION_NOT_FOUND` when it is unknown, or was resolved the other way.
   */
  end(end: {
    readonly topic: string
    readonly transactionId: string
    readonly messageId: string
    readonly resolution: TransactionResolution
  }): Promise<void>
  /** Offers a producer for check-backs. Call the result when its stream ends. */
  register(checker: TransactionChecker): () => void
}
