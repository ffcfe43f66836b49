import { isReservedTopic } from '../../../../model/addressing/names.ts'
import { checkMessageType, type TopicType } from '../../../../model/addressing/topic.ts'
import type { DeadLetterQueue } from '../../../../model/delivery/administration.ts'
import type { ReceiptHandle } from '../../../../model/delivery/receipt-handle.ts'
import { BrokerError } from '../../../../model/errors.ts'
import type { RetryPolicy } from '../../../../model/delivery/retry-policy.ts'
import { groupDefaults } from '../../../../model/addressing/group.ts'
import type { EncodedMessage, StoredMessage } from '../../../../model/message/message.ts'
import type {
  Broker,
  Clock,
  Delivery,
  Groups,
  ReceiveRequest,
  ReceiveResult,
  SendReceipt,
  Sessions,
  TopicSummary,
  Topics,
} from '../../../../model/ports.ts'
import type { Messages } from '../../../../model/message/trace.ts'
import type { Schedules } from '../../../../model/schedule/schedules.ts'
import type { Timers } from '../../../../model/timer/timers.ts'
import type {
  TransactionChecker,
  Transactions,
} from '../../../../model/transaction/transactions.ts'

/** One group's view of one message. */
interface Lease {
  readonly topic: string
  attempt: number
  generation: number
  untilMs: number
  isDone: boolean
  cancelWake?: () => void
}

const notFaked = (): never => {
  throw new Error('the fake broker does not do this')
}

/**
 * A broker of one queue per topic in memory: enough of the contract of `Broker` for a door to
 * be driven by real clients. Handles are JSON.
 */
export class FakeBroker implements Broker {
  readonly #clock: Clock
  readonly #autoCreate: boolean
  readonly #topics = new Map<string, TopicSummary>()
  readonly #leases = new Map<string, Lease>()
  readonly #waiting = new Set<() => void>()
  readonly stored = new Map<string, StoredMessage[]>()
  readonly attemptsMax = new Map<string, number>()
  readonly retries = new Map<string, RetryPolicy>()
  /** What was asked, in order, for specs to look at. */
  readonly received: ReceiveRequest[] = []
  readonly extended: number[] = []
  readonly deadLettered: string[] = []
  readonly openSessions = new Set<string>()
  readonly touched: string[] = []
  readonly terminated: string[] = []
  /** Thrown by the next command that takes a handle or a message. */
  failure: Error | undefined

  constructor(clock: Clock, { autoCreate = false } = {}) {
    this.#clock = clock
    this.#autoCreate = autoCreate
  }

  addTopic(name: string, type: TopicType = 'NORMAL', queues = 8): void {
    const topicId = this.#topics.size + 1
    this.#topics.set(name, { name, topicId, type, queues, state: 'serving' })
    this.stored.set(name, [])
  }

  readonly topics: Topics = {
    create: notFaked,
    update: notFaked,
    describe: notFaked,
    list: () => [...this.#topics.values()],
    end: notFaked,
    find: (name) => this.#topics.get(name),
    resolve: async (name) => {
      if (this.#autoCreate && !this.#topics.has(name) && !isReservedTopic(name))
        this.addTopic(name, 'MIXED')
      return this.#topics.get(name)
    },
  }

  readonly groups: Groups = {
    create: notFaked,
    update: notFaked,
    resetOffsets: notFaked,
    describe: notFaked,
    list: () => [],
    end: notFaked,
    find: (name) => {
      const attemptsMax = this.attemptsMax.get(name)
      return attemptsMax === undefined
        ? undefined
        : {
            name,
            groupId: 1,
            state: 'serving',
            ...groupDefaults,
            attemptsMax,
            ...this.#retryOf(name),
          }
    },
  }

  #retryOf(name: string): { retry?: RetryPolicy } {
    const retry = this.retries.get(name)
    return retry ? { retry } : {}
  }

  readonly sessions: Sessions = {
    open: (clientId, role) => {
      this.openSessions.add(`${clientId} ${role}`)
      return { close: () => this.openSessions.delete(`${clientId} ${role}`) }
    },
    touch: (clientId, role) => void this.touched.push(`${clientId} ${role}`),
    terminate: (clientId) => void this.terminated.push(clientId),
    count: 0,
  }

  readonly deadLetters: DeadLetterQueue = { list: notFaked, redrive: notFaked, purge: notFaked }

  readonly messages: Messages = {
    byId: notFaked,
    find: notFaked,
    peek: notFaked,
    why: notFaked,
  }

  /** Messages with a delivery time, by recall handle. Nobody delivers them. */
  readonly scheduled = new Map<string, EncodedMessage>()
  /** Half messages by transaction id, and what became of the others. */
  readonly halves = new Map<string, { readonly topic: string; readonly message: EncodedMessage }>()
  readonly resolved: string[] = []
  readonly checkers = new Set<TransactionChecker>()

  readonly timers: Timers = {
    count: () => this.scheduled.size,
    list: notFaked,
    show: notFaked,
    recall: async (topic, handle) => {
      this.#mayFail()
      if (!handle.startsWith(`${topic} `)) return { outcome: 'invalid' }
      const message = this.scheduled.get(handle)
      this.scheduled.delete(handle)
      const messageId = handle.slice(topic.length + 1)
      return { outcome: message ? 'recalled' : 'delivered', messageId }
    },
    cancel: notFaked,
    cancelAll: notFaked,
    reschedule: notFaked,
    fire: notFaked,
  }

  readonly schedules: Schedules = {
    create: notFaked,
    list: () => [],
    describe: notFaked,
    pause: notFaked,
    resume: notFaked,
    delete: notFaked,
  }

  readonly transactions: Transactions = {
    count: () => this.halves.size,
    list: notFaked,
    end: async ({ topic, transactionId, messageId, resolution }) => {
      this.#mayFail()
      if (!this.halves.delete(transactionId))
        throw new BrokerError('TRANSACTION_NOT_FOUND', { transactionId })
      this.resolved.push(`${topic} ${messageId} ${resolution}`)
    },
    register: (checker) => {
      this.checkers.add(checker)
      return () => this.checkers.delete(checker)
    },
  }

  async append(topic: string, message: EncodedMessage): Promise<SendReceipt> {
    this.#mayFail()
    const summary = this.#topics.get(topic)
    const log = this.stored.get(topic)
    if (!summary || !log) throw new BrokerError('TOPIC_NOT_FOUND', { topic })
    checkMessageType(summary, message.type)
    const { type, messageId } = message
    const nowhere = { messageId, queueId: 0, queueOffset: 0 }
    if (type === 'TRANSACTION') {
      const transactionId = `transaction of ${messageId}`
      this.halves.set(transactionId, { topic, message })
      return { ...nowhere, transactionId }
    }
    if (message.deliverAtMs !== undefined) {
      const recallHandle = `${topic} ${messageId}`
      this.scheduled.set(recallHandle, message)
      return { ...nowhere, recallHandle }
    }
    const queueOffset = log.length
    log.push({
      topic,
      topicId: summary.topicId,
      queueId: 0,
      queueOffset,
      physicalOffset: queueOffset,
      storeAtMs: this.#clock.wallMs(),
      type,
      system: Buffer.from(message.system),
      properties: Buffer.from(message.properties),
      body: Buffer.from(message.body),
    })
    this.#wake()
    return { messageId, queueId: 0, queueOffset }
  }

  async receive(request: ReceiveRequest): Promise<ReceiveResult> {
    this.#mayFail()
    this.received.push(request)
    if (!this.#topics.has(request.topic))
      throw new BrokerError('TOPIC_NOT_FOUND', { topic: request.topic })
    const untilMs = this.#clock.monotonicMs() + request.waitMs
    for (let filteredOut = false; ; ) {
      const taken = this.#take(request)
      filteredOut ||= taken.filteredOut
      const leftMs = untilMs - this.#clock.monotonicMs()
      const isOver = request.signal?.aborted === true || leftMs <= 0
      if (taken.deliveries.length > 0 || isOver) return { ...taken, filteredOut }
      await this.#wakeOr(leftMs, request.signal)
    }
  }

  async ack(handle: ReceiptHandle): Promise<void> {
    const lease = this.#lease(handle)
    lease.isDone = true
    lease.cancelWake?.()
  }

  ackAll(handles: readonly ReceiptHandle[]): Promise<readonly unknown[]> {
    const refusalOf = (handle: ReceiptHandle): Promise<unknown> =>
      this.ack(handle).catch((error: unknown) => error)
    return Promise.all(handles.map(refusalOf))
  }

  async extend(handle: ReceiptHandle, invisibleMs: number): Promise<ReceiptHandle> {
    const lease = this.#lease(handle)
    this.extended.push(invisibleMs)
    lease.generation++
    lease.untilMs = this.#clock.monotonicMs() + invisibleMs
    // A real timer may be a little early.
    lease.cancelWake?.()
    lease.cancelWake = this.#clock.after(invisibleMs + 2, () => this.#wake())
    return { ...handle, generation: lease.generation }
  }

  async deadLetter(handle: ReceiptHandle, reason: string): Promise<void> {
    this.#lease(handle).isDone = true
    this.deadLettered.push(reason)
  }

  sealHandle(handle: ReceiptHandle): string {
    return JSON.stringify(handle)
  }

  openHandle(text: string): ReceiptHandle {
    try {
      return JSON.parse(text) as ReceiptHandle
    } catch {
      throw new BrokerError('RECEIPT_HANDLE_INVALID', { reason: 'it is not JSON' })
    }
  }

  #take({ group, topic, filter, batchMax, invisibleMs }: ReceiveRequest): ReceiveResult {
    const deliveries: Delivery[] = []
    let filteredOut = false
    const nowMs = this.#clock.monotonicMs()
    for (const message of this.stored.get(topic) ?? []) {
      const key = `${group} ${message.topicId} ${message.queueOffset}`
      const lease = this.#leases.get(key) ?? {
        topic,
        attempt: 0,
        generation: 0,
        untilMs: 0,
        isDone: false,
      }
      if (lease.isDone || lease.untilMs > nowMs || deliveries.length >= batchMax) continue
      if (!filter.matches(message.system, message.properties)) {
        filteredOut = true
        continue
      }
      lease.attempt++
      lease.untilMs = nowMs + invisibleMs
      this.#leases.set(key, lease)
      deliveries.push(this.#deliver(group, message, lease))
    }
    return { deliveries, filteredOut }
  }

  #deliver(group: string, message: StoredMessage, lease: Lease): Delivery {
    const { topicId, queueId, queueOffset } = message
    const { attempt, generation } = lease
    const at = { topicId, queueId, queueOffset, attempt, generation }
    const handle = {
      ...at,
      groupId: 1,
      invisibleUntilMs: lease.untilMs,
      epoch: 1,
      resets: 0,
      group,
    }
    return { message, handle, attempt, cause: attempt === 1 ? 'first' : 'negativeAck' }
  }

  #lease(handle: ReceiptHandle): Lease {
    this.#mayFail()
    const { group } = handle as ReceiptHandle & { group: string }
    const lease = this.#leases.get(`${group} ${handle.topicId} ${handle.queueOffset}`)
    if (lease?.generation !== handle.generation || lease.attempt !== handle.attempt)
      throw new BrokerError('RECEIPT_HANDLE_EXPIRED', {})
    return lease
  }

  #mayFail(): void {
    const { failure } = this
    this.failure = undefined
    if (failure) throw failure
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  #wakeOr(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel()
        this.#waiting.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const cancel = this.#clock.after(waitMs, wake)
      this.#waiting.add(wake)
      signal?.addEventListener('abort', wake)
    })
  }
}
