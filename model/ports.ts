import type { GroupOptions, GroupSettings } from './addressing/group.ts'
import type { TopicOptions, TopicSettings, TopicType } from './addressing/topic.ts'
import type { DeadLetterQueue, OffsetReset, OffsetResetResult } from './delivery/administration.ts'
import type { DeliveryCause } from './delivery/causes.ts'
import type { Filter } from './delivery/filter.ts'
import type { ReceiptHandle } from './delivery/receipt-handle.ts'
import type { EncodedMessage, StoredMessage } from './message/message.ts'
import type { Messages } from './message/trace.ts'
import type { Schedules } from './schedule/schedules.ts'
import type { Timers } from './timer/timers.ts'
import type { Transactions } from './transaction/transactions.ts'

/** Time, passed in. Nothing below `index.ts` reads a clock of its own. */
export interface Clock {
  /** Wall time in ms; may jump. For timestamps and for deadlines written to disk. */
  wallMs(): number
  /** Monotonic time in ms; for leases, waits and back-offs. */
  monotonicMs(): number
  /** Runs once, not before `ms` have passed. Returns the cancellation, harmless when late. */
  after(ms: number, task: () => void): () => void
  /** Runs once, after the current turn and the input that has already arrived. */
  soon(task: () => void): void
}

export interface Random {
  bytes(size: number): Uint8Array
}

/** One value of one series, read from state at the moment it is asked for. */
export interface MetricSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Of a histogram: which of its series this is. */
  readonly part?: '_bucket' | '_sum' | '_count'
}

export interface MetricFamily {
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  /** A second spelling with the same series, where dashboards need both. */
  readonly alias?: string
}

/** Where metrics come from: families that never change, samples that are functions of state. */
export interface MetricSource {
  readonly families: readonly MetricFamily[]
  /** Called before a scrape: brings into memory what samples are made of. */
  prepare?(): Promise<void>
  samples(): Iterable<MetricSample>
}

/** A registry's real output, for the audit: what it would tell a scraper now. */
export interface MetricRegistry {
  series(): Promise<readonly MetricSample[]>
}

export interface Residue {
  /** Who it says it belongs to, such as `topic:17`. */
  readonly owner: string
  readonly kind: 'indexKey' | 'logChunk' | 'metricSeries' | 'actor' | 'timer' | 'handle'
  readonly what: string
  readonly bytes: number
}

export interface AuditReport {
  /** True when everything that was found has a living owner. */
  readonly clean: boolean
  readonly residue: readonly Residue[]
  /** Bytes of deleted topics that share extents of the log with living ones, and until when. */
  readonly awaitingReclaim: readonly {
    readonly owner: string
    readonly name: string
    readonly bytes: number
    readonly byMs: number
  }[]
}

/** One line per thing an operator wants to know. Fields are values, never secrets or bodies. */
export interface Logger {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface SendReceipt {
  readonly messageId: string
  readonly queueId: number
  readonly queueOffset: number
  /** Of a message that waits for its delivery time: ends the wait. Queue and offset are 0 then. */
  readonly recallHandle?: string
  /** Of a half message: names it in `Transactions.end`. Queue and offset are 0 then. */
  readonly transactionId?: string
}

export type { DeliveryCause } from './delivery/causes.ts'

export interface Delivery {
  readonly message: StoredMessage
  readonly handle: ReceiptHandle
  readonly attempt: number
  readonly cause: DeliveryCause
}

export interface ReceiveRequest {
  readonly group: string
  readonly topic: string
  readonly filter: Filter
  /** At most this many messages; capped at 32. */
  readonly batchMax: number
  /** How long the messages stay invisible to others, in ms. Already validated by the door. */
  readonly invisibleMs: number
  /** Waits this long for a first message, in ms; 0 answers at once. */
  readonly waitMs: number
  /** A repeat of an attempt whose answer was lost gets the same messages again. */
  readonly attemptId?: string
  /** The client that holds the leases; they end with its session. */
  readonly clientId?: string
  /** Renew the leases for as long as the client's session lives. Needs `clientId`. */
  readonly autoRenew?: boolean
  /** Aborted: answers with nothing; messages already leased are made visible at once. */
  readonly signal?: AbortSignal
}

export interface ReceiveResult {
  readonly deliveries: readonly Delivery[]
  /** True when messages were looked at and none matched the filter. */
  readonly filteredOut: boolean
}

export interface QueueDescription {
  readonly queueId: number
  /** First offset still kept. */
  readonly offsetMin: number
  /** One past the last visible offset. */
  readonly offsetMax: number
}

export interface TopicDescription extends TopicSettings {
  readonly name: string
  /** The incarnation: never reused. */
  readonly topicId: number
  readonly state: string
  readonly messages: number
  readonly bytes: number
  readonly offsets: readonly QueueDescription[]
}

export interface TopicSummary {
  readonly name: string
  readonly topicId: number
  readonly type: TopicType
  readonly queues: number
  readonly state: string
}

export interface GroupProgress {
  readonly topic: string
  readonly queueId: number
  /** Everything below is acknowledged. */
  readonly floor: number
  readonly inFlight: number
  /** Messages that can be delivered now, those whose lease ended included. */
  readonly ready: number
  /** Messages not yet acknowledged, in flight or not. */
  readonly lag: number
  /** How long ago the oldest of them was stored; missing while that has to be looked up on disk. */
  readonly oldestUnackedAgeMs?: number
}

export interface GroupDescription extends GroupSettings {
  readonly name: string
  readonly groupId: number
  readonly state: string
  readonly progress: readonly GroupProgress[]
}

export interface GroupSummary {
  readonly name: string
  readonly groupId: number
  readonly state: string
}

export interface Topics {
  /** Durable when it resolves. Creating an existing topic with the same settings is harmless. */
  create(name: string, options?: TopicOptions): Promise<TopicDescription>
  update(name: string, options: TopicOptions): Promise<TopicDescription>
  describe(name: string): TopicDescription
  list(): TopicSummary[]
  /**
   * Resolves when nothing of the topic can be reached any more; bytes in shared chunks go later.
   */
  end(name: string): Promise<void>
  /**
   * What a client needs to route, or undefined for an unknown topic. Cheap: no description made.
   */
  find(name: string): TopicSummary | undefined
  /** As `find`; creates a MIXED topic of 8 queues where auto-create is on and the name allows it. */
  resolve(name: string): Promise<TopicSummary | undefined>
}

export interface Groups {
  create(name: string, options?: GroupOptions): Promise<GroupDescription>
  /** Durable when it resolves, and then in force: `paused: true` stops deliveries, `false` resumes. */
  update(name: string, options: GroupOptions): Promise<GroupDescription>
  /**
   * Moves where a group goes on, while its consumers run. Durable and visible when it resolves:
   * leases and handles of the queues concerned end, and what comes again says `reset`.
   */
  resetOffsets(group: string, reset: OffsetReset): Promise<OffsetResetResult[]>
  describe(name: string): GroupDescription
  list(): GroupSummary[]
  /** Its dead letters stay: `%DLQ%<group>` is a topic of its own and is ended or purged as one. */
  end(name: string): Promise<void>
  find(name: string): (GroupSummary & GroupSettings) | undefined
}

export type SessionRole = 'producer' | 'consumer'

/**
 * The life of a client as the broker sees it: alive while a stream is open or calls arrive.
 * Losing a session makes its auto-renewed leases visible within a second.
 */
export interface Sessions {
  /** A stream of this client opened. Close the link when the stream ends, however it ends. */
  open(clientId: string, role: SessionRole): SessionLink
  /** Any call or heartbeat of the client. Creates the session when it is unknown. */
  touch(clientId: string, role: SessionRole): void
  /** The client said goodbye. Unknown clients are fine. */
  terminate(clientId: string): void
  readonly count: number
}

export interface SessionLink {
  close(): void
}

/** What every protocol calls, and the embedded API stands on. */
export interface Broker {
  readonly topics: Topics
  readonly groups: Groups
  readonly sessions: Sessions
  readonly messages: Messages
  readonly deadLetters: DeadLetterQueue
  readonly timers: Timers
  readonly transactions: Transactions
  readonly schedules: Schedules
  /**
   * Stores a message; resolves when the group commit that holds it was synced. Throws (never
   * half-done) `TOPIC_NOT_FOUND`, `MESSAGE_TYPE_CONFLICT`, `DELIVERY_TIME_ILLEGAL` beyond the
   * horizon, `THROTTLED`, `DISK_FULL`, `STORE_UNAVAILABLE`, and `OUTCOME_UNKNOWN` when the store cannot say in time.
   */
  append(topic: string, message: EncodedMessage): Promise<SendReceipt>
  receive(request: ReceiveRequest): Promise<ReceiveResult>
  /** Ends the delivery for good. Repeating it is harmless; `RECEIPT_HANDLE_EXPIRED` when late. */
  ack(handle: ReceiptHandle): Promise<void>
  /**
   * As `ack` for each, kept as one fact per queue. Never rejects: in each handle's place stands
   * why it was refused, or nothing.
   */
  ackAll(handles: readonly ReceiptHandle[]): Promise<readonly unknown[]>
  /** Moves the deadline to now + `invisibleMs` (0 to 12 h) and returns the handle that counts now. */
  extend(handle: ReceiptHandle, invisibleMs: number): Promise<ReceiptHandle>
  /** Copies the message to `%DLQ%<group>` and ends the delivery, as one fact. */
  deadLetter(handle: ReceiptHandle, reason: string): Promise<void>
  /** Text form of a handle, with a MAC over all of it, for a protocol's clients. */
  sealHandle(handle: ReceiptHandle): string
  /** The inverse. Throws `RECEIPT_HANDLE_INVALID` for anything this broker did not seal. */
  openHandle(text: string): ReceiptHandle
}
