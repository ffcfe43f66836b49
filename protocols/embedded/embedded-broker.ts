import { Filters } from '../../model/delivery/filters.ts'
import type { OnProgress, WrittenBackup } from '../../model/backup.ts'
import type { DeadLetterQueue } from '../../model/delivery/administration.ts'
import { checkInvisibleMs, deliveryLimits } from '../../model/delivery/limits.ts'
import { groupDefaults } from '../../model/addressing/group.ts'
import { retryDelayMs } from '../../model/delivery/retry-policy.ts'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import { BrokerError } from '../../model/errors.ts'
import { type DraftContext, encodeDraft, type MessageDraft } from '../../model/message/encode.ts'
import { createMessageIds } from '../../model/message/message-id.ts'
import type { Messages } from '../../model/message/trace.ts'
import type {
  AuditReport,
  Broker,
  Clock,
  Groups,
  Logger,
  Random,
  SendReceipt,
  Topics,
} from '../../model/ports.ts'
import type { Schedules } from '../../model/schedule/schedules.ts'
import type { Tiering } from '../../model/tier/tier-admin.ts'
import type { Span } from '../../model/timer/span.ts'
import type { Timers } from '../../model/timer/timers.ts'
import type { TransactionCheck, Transactions } from '../../model/transaction/transactions.ts'
import { type ConsumeOptions, consume } from './consume.ts'
import { ReceivedMessage } from './received-message.ts'
import {
  answerCheck,
  type CheckTransaction,
  Transaction,
  type TransactionOptions,
} from './transaction.ts'

export interface ReceiveOptions {
  readonly topic: string
  /** Created when it does not exist. A new group begins with the oldest message still kept. */
  readonly group: string
  /**
   * `*` (default) for all, tags joined by `||`, or SQL92 on properties: `{ sql: 'price > 5' }`.
   * `FILTER_ILLEGAL` says at which position an expression is wrong.
   */
  readonly filter?: string | { readonly sql: string }
  /** 1 to 32; default 32. */
  readonly batchMax?: number
  /** How long the messages stay invisible to others: 1 ms to 12 h; default 60 s. */
  readonly invisibleMs?: number
  /** Waits this long for a first message; default 0 answers at once. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

/** Time in the hands of a test. */
export interface TestClock {
  wallMs(): number
  /**
   * Lets a span pass, such as `'3 days'` or a number of ms: what falls due on the way happens in
   * order, at its own time. Resolves when it has happened and whoever waits has seen it.
   */
  advance(span: Span): Promise<void>
  /** As `advance`, to a moment of the wall clock. Throws `DURATION_ILLEGAL` for one that is past. */
  advanceTo(moment: Date | number | string): Promise<void>
}

export interface EmbeddedParts {
  readonly broker: Broker & { close(): Promise<void> }
  readonly clock: Clock
  readonly random: Random
  /** Undefined where time is the system's. */
  readonly testClock?: TestClock | undefined
  readonly logger: Logger
  readonly host: string
  readonly audit: () => Promise<AuditReport>
  /** The text of `/metrics`. */
  readonly metrics: () => Promise<string>
  readonly backup: (directory: string, onProgress?: OnProgress) => Promise<WrittenBackup>
  readonly tiering: Tiering
  /** Closed with the broker, in this order. */
  readonly owned: readonly { close(): Promise<void> }[]
}

/**
 * The broker as a Node program sees it. All promises of the README hold here: `send` resolves
 * when the message is on disk, and refusals are `BrokerError` with a code.
 */
export class EmbeddedBroker {
  readonly #parts: EmbeddedParts
  readonly #nextId: () => string
  readonly #filters = new Filters()
  #closing: Promise<void> | undefined

  constructor(parts: EmbeddedParts) {
    this.#parts = parts
    this.#nextId = createMessageIds(parts.clock, parts.random)
  }

  get topics(): Topics {
    return this.#parts.broker.topics
  }

  get groups(): Groups {
    return this.#parts.broker.groups
  }

  /** The dead letters of a group: listed, sent back to where they came from, or purged. */
  get deadLetters(): DeadLetterQueue {
    return this.#parts.broker.deadLetters
  }

  /** Looks at stored messages: by id, key, time or offset. Nothing is leased by looking. */
  get messages(): Messages {
    return this.#parts.broker.messages
  }

  /** Messages that wait for their delivery time: list, recall, reschedule, fire, cancel. */
  get timers(): Timers {
    return this.#parts.broker.timers
  }

  /** Messages that are sent again and again, by interval or cron: create, pause, resume, delete. */
  get schedules(): Schedules {
    return this.#parts.broker.schedules
  }

  /** Half messages that wait for the decision of their producer. */
  get transactions(): Transactions {
    return this.#parts.broker.transactions
  }

  /** History in the tier: what is there, waits and costs. To be offloaded, verified, fetched. */
  get tiering(): Tiering {
    return this.#parts.tiering
  }

  /** Time, where it stands still until told to go on: `memory: true` with `clock: 'manual'`. */
  get clock(): TestClock {
    const { testClock } = this.#parts
    if (testClock) return testClock
    const reason = "this broker runs on real time; open it with memory: true and clock: 'manual'"
    throw new BrokerError('SETTINGS_ILLEGAL', { name: 'clock', reason })
  }

  /**
   * Stores a message. Resolves when it is synced to disk; throws without storing anything. With
   * `deliverAtMs`, `delayMs` or `delayLevel` it is in its topic, of type DELAY or MIXED, only
   * then; the receipt's `recallHandle` ends the wait: `timers.recall(topic, recallHandle)`.
   */
  send(topic: string, draft: MessageDraft): Promise<SendReceipt> {
    return this.#append(topic, draft, {})
  }

  /**
   * Stores a message that nobody sees until `commit()`, in a topic of type TRANSACTION or MIXED.
   * Until it is resolved a checker is asked about it: first after `checkAfterMs`, then every 30 s,
   * 15 times; then it is parked for `transactions.list` to show.
   */
  async transaction(
    topic: string,
    draft: MessageDraft,
    { checkAfterMs, check }: TransactionOptions = {},
  ): Promise<Transaction> {
    const transaction = checkAfterMs === undefined ? {} : { checkAfterMs }
    const { messageId, transactionId = '' } = await this.#append(topic, draft, { transaction })
    const leave = check ? this.#offer(topic, check, transactionId) : () => {}
    return new Transaction(this.transactions, { topic, transactionId, messageId }, leave)
  }

  /**
   * Offers this program for questions about any transaction of a topic, also those of programs
   * that have ended. Returns how to stop.
   */
  checkTransactions(topic: string, check: CheckTransaction): () => void {
    return this.#offer(topic, check)
  }

  /** Takes up to `batchMax` messages; an empty array when there are none in time. */
  async receive(options: ReceiveOptions): Promise<ReceivedMessage[]> {
    const { filter = '*', batchMax = deliveryLimits.batchMax, waitMs = 0 } = options
    const invisibleMs = options.invisibleMs ?? deliveryLimits.autoRenewInvisibleMs
    checkInvisibleMs(invisibleMs, 1)
    const { deliveries } = await this.#parts.broker.receive({
      topic: options.topic,
      group: options.group,
      filter:
        typeof filter === 'string' ? this.#filters.byTags(filter) : this.#filters.bySql(filter.sql),
      batchMax,
      invisibleMs,
      waitMs,
      ...(options.signal ? { signal: options.signal } : {}),
    })
    return deliveries.map((delivery) => new ReceivedMessage(delivery, options.group, this))
  }

  /** Ends a delivery for good. Repeating it is harmless. */
  ack(message: ReceivedMessage | ReceiptHandle): Promise<void> {
    return this.#parts.broker.ack(handleOf(message))
  }

  /**
   * Ends several deliveries in one call, which costs less than one by one. Never rejects: in the
   * place of each stands why it was refused, or nothing.
   */
  ackAll(messages: readonly (ReceivedMessage | ReceiptHandle)[]): Promise<readonly unknown[]> {
    return this.#parts.broker.ackAll(messages.map(handleOf))
  }

  /** Moves the deadline to now + `invisibleMs`; 0 makes the message visible at once. */
  async extend(message: ReceivedMessage | ReceiptHandle, invisibleMs: number): Promise<void> {
    const handle = await this.#parts.broker.extend(handleOf(message), invisibleMs)
    if (message instanceof ReceivedMessage) message.handle = handle
  }

  /** Refuses a message: it comes again after `delayMs`, or as its group's retry policy says. */
  nack(message: ReceivedMessage, delayMs?: number): Promise<void> {
    const { retry } = this.groups.find(message.group) ?? groupDefaults
    return this.extend(message, delayMs ?? retryDelayMs(retry, message.attempt))
  }

  /** Moves a message to the group's dead-letter topic `%DLQ%<group>`. */
  deadLetter(message: ReceivedMessage | ReceiptHandle, reason: string): Promise<void> {
    return this.#parts.broker.deadLetter(handleOf(message), reason)
  }

  /** Messages one after the other, for ever: `for await (const message of broker.consume(…))`. */
  consume(options: ConsumeOptions): AsyncGenerator<ReceivedMessage, void, undefined> {
    return consume(this, options)
  }

  /**
   * Walks the stores, the actors and the metric registry for anything without a living owner.
   * Costs a read of every key; nothing waits for it.
   */
  audit(): Promise<AuditReport> {
    return this.#parts.audit()
  }

  /**
   * Writes everything acknowledged so far into a new or empty directory of this machine, while
   * the broker goes on. Resolves when its file is on disk, checked chunk by chunk;
   * `restoreBackup` makes a data directory of it. Rejects with `TARGET_NOT_EMPTY`, or `CORRUPT`
   * with the position of the first damaged chunk.
   */
  backup(
    directory: string,
    { onProgress }: { onProgress?: OnProgress } = {},
  ): Promise<WrittenBackup> {
    return this.#parts.backup(directory, onProgress)
  }

  /** All metrics in Prometheus' text format, read from state at this moment. */
  metrics(): Promise<string> {
    return this.#parts.metrics()
  }

  /** What a door, such as gRPC, is opened on. */
  get port(): Broker {
    return this.#parts.broker
  }

  /** Answers every waiter, writes what is admitted, and closes the store. Twice is fine. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#parts.broker.close()
    for (const part of this.#parts.owned) await part.close()
  }

  #append(
    topic: string,
    draft: MessageDraft,
    transaction: Pick<DraftContext, 'transaction'>,
  ): Promise<SendReceipt> {
    const { broker, clock, host } = this.#parts
    try {
      const message = encodeDraft(draft, {
        messageId: draft.messageId ?? this.#nextId(),
        bornAtMs: Math.floor(clock.wallMs()),
        bornHost: host,
        ...transaction,
      })
      return broker.append(topic, message)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Of one transaction, until it is resolved; else of all of the topic. */
  #offer(topic: string, check: CheckTransaction, transactionId?: string): () => void {
    const { transactions } = this
    const { logger } = this.#parts
    const answer = async (asked: TransactionCheck): Promise<void> => {
      const isResolved = await answerCheck(asked, check, { transactions, logger })
      if (isResolved && transactionId !== undefined) leave()
    }
    const leave = transactions.register({
      topics: new Set([topic]),
      ...(transactionId === undefined ? {} : { transactionId }),
      check: (asked) => {
        void answer(asked)
        return true
      },
    })
    return leave
  }
}

const handleOf = (message: ReceivedMessage | ReceiptHandle): ReceiptHandle =>
  message instanceof ReceivedMessage ? message.handle : message
