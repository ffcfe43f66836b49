import { isBrokerError } from '../../model/errors.ts'
import type { Logger } from '../../model/ports.ts'
import type {
  TransactionCheck,
  TransactionResolution,
  Transactions,
} from '../../model/transaction/transactions.ts'
import { ReadableMessage } from './readable-message.ts'

/** `unknown` leaves the transaction pending; it is asked about again later. */
export type TransactionAnswer = TransactionResolution | 'unknown'

/**
 * Says what became of a transaction, from what the program has written elsewhere. An error counts
 * as `unknown`.
 */
export type CheckTransaction = (
  message: ReadableMessage,
) => TransactionAnswer | Promise<TransactionAnswer>

export interface TransactionOptions {
  /** When it is first asked about if it is still pending, in ms: default 6 s, at most 1 h. */
  readonly checkAfterMs?: number
  /** Who is asked about this one transaction, for as long as it is pending in this process. */
  readonly check?: CheckTransaction
}

export type TransactionState = 'pending' | 'committed' | 'rolledBack'

interface Named {
  readonly topic: string
  readonly transactionId: string
  readonly messageId: string
}

/**
 * A message that is stored and shown to nobody until its fate is decided. With `await using` it
 * is rolled back when the block is left without `commit()`.
 */
export class Transaction {
  readonly #transactions: Transactions
  readonly #named: Named
  readonly #leave: () => void
  #state: TransactionState = 'pending'

  constructor(transactions: Transactions, named: Named, leave: () => void) {
    this.#transactions = transactions
    this.#named = named
    this.#leave = leave
  }

  get transactionId(): string {
    return this.#named.transactionId
  }

  get messageId(): string {
    return this.#named.messageId
  }

  /** As far as this object knows: a check may have resolved it, too. */
  get state(): TransactionState {
    return this.#state
  }

  /** Delivers the message; durable when it resolves. Repeating it is harmless. */
  async commit(): Promise<void> {
    await this.#end('commit')
    this.#state = 'committed'
  }

  /** Drops the message; durable when it resolves. Repeating it is harmless. */
  async rollback(): Promise<void> {
    await this.#end('rollback')
    this.#state = 'rolledBack'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'pending') return
    try {
      await this.rollback()
    } catch (error) {
      // A check was quicker and committed it.
      if (!isBrokerError(error, 'TRANSACTION_NOT_FOUND')) throw error
    }
  }

  async #end(resolution: TransactionResolution): Promise<void> {
    await this.#transactions.end({ ...this.#named, resolution })
    this.#leave()
  }
}

/** Asks a program about a transaction, and does what it answers; true when that resolved it. */
export const answerCheck = async (
  { transactionId, message }: TransactionCheck,
  check: CheckTransaction,
  { transactions, logger }: { readonly transactions: Transactions; readonly logger: Logger },
): Promise<boolean> => {
  const half = new ReadableMessage(message)
  const { topic, messageId } = half
  try {
    const answer = await check(half)
    if (answer === 'unknown') return false
    await transactions.end({ topic, transactionId, messageId, resolution: answer })
    return true
  } catch (error) {
    const fields = { topic, transactionId, error: String(error) }
    logger.warn(fields, 'a transaction was not resolved by its check')
    return false
  }
}
