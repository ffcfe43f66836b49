import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import type { Delivery, DeliveryCause } from '../../model/ports.ts'
import { ReadableMessage } from './readable-message.ts'

interface Acknowledger {
  ack(message: ReceivedMessage): Promise<void>
  extend(message: ReceivedMessage, invisibleMs: number): Promise<void>
  nack(message: ReceivedMessage, delayMs?: number): Promise<void>
}

/** One delivery of a message. `body` shares the broker's memory: copy it before changing it. */
export class ReceivedMessage extends ReadableMessage {
  readonly #owner: Acknowledger
  /** The group that received it. */
  readonly group: string
  readonly queueId: number
  readonly queueOffset: number
  /** The handle that counts; `extend` replaces it. */
  handle: ReceiptHandle
  /** 1 for the first delivery. */
  readonly attempt: number
  /** Why it was delivered: `first`, or why it came again. */
  readonly cause: DeliveryCause

  constructor(delivery: Delivery, group: string, owner: Acknowledger) {
    super(delivery.message)
    this.#owner = owner
    this.group = group
    this.queueId = delivery.message.queueId
    this.queueOffset = delivery.message.queueOffset
    this.handle = delivery.handle
    this.attempt = delivery.attempt
    this.cause = delivery.cause
  }

  /** Ends this delivery for good. */
  ack(): Promise<void> {
    return this.#owner.ack(this)
  }

  /** Refuses it: it comes again after `delayMs`, or after what the group's retry policy says. */
  nack(delayMs?: number): Promise<void> {
    return this.#owner.nack(this, delayMs)
  }

  /** Keeps the message from others for `invisibleMs` more, from now; 0 gives it back at once. */
  extend(invisibleMs: number): Promise<void> {
    return this.#owner.extend(this, invisibleMs)
  }
}
