import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import type { StoredMessage, SystemFields } from '../../model/message/message.ts'
import { decodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import type { Delivery, DeliveryCause } from '../../model/ports.ts'
import { textOf } from '../../model/wire/text.ts'

interface Acknowledger {
  ack(message: ReceivedMessage): Promise<void>
  extend(message: ReceivedMessage, invisibleMs: number): Promise<void>
}

/** One delivery of a message. `body` shares the broker's memory: copy it before changing it. */
export class ReceivedMessage {
  readonly #message: StoredMessage
  readonly #owner: Acknowledger
  #system: SystemFields | undefined
  /** The handle that counts; `extend` replaces it. */
  handle: ReceiptHandle
  /** 1 for the first delivery. */
  readonly attempt: number
  /** Why it was delivered: `first`, or why it came again. */
  readonly cause: DeliveryCause

  constructor(delivery: Delivery, owner: Acknowledger) {
    this.#message = delivery.message
    this.#owner = owner
    this.handle = delivery.handle
    this.attempt = delivery.attempt
    this.cause = delivery.cause
  }

  get topic(): string {
    return this.#message.topic
  }

  get queueId(): number {
    return this.#message.queueId
  }

  get queueOffset(): number {
    return this.#message.queueOffset
  }

  /** When the broker took it, wall clock. */
  get storeAtMs(): number {
    return this.#message.storeAtMs
  }

  get body(): Uint8Array {
    return this.#message.body
  }

  /** The body as UTF-8 text. */
  get text(): string {
    return textOf(this.#message.body)
  }

  get messageId(): string {
    return this.#fields.messageId
  }

  get tag(): string {
    return this.#fields.tag
  }

  get keys(): readonly string[] {
    return this.#fields.keys
  }

  get messageGroup(): string {
    return this.#fields.messageGroup
  }

  /** Of a dead letter: where it came from. */
  get origin(): { readonly topic: string; readonly messageId: string } | undefined {
    return this.#fields.origin
  }

  get properties(): Record<string, string> {
    return decodeProperties(this.#message.properties)
  }

  /** Ends this delivery for good. */
  ack(): Promise<void> {
    return this.#owner.ack(this)
  }

  /** Keeps the message from others for `invisibleMs` more, from now; 0 gives it back at once. */
  extend(invisibleMs: number): Promise<void> {
    return this.#owner.extend(this, invisibleMs)
  }

  get #fields(): SystemFields {
    this.#system ??= decodeSystem(this.#message.system)
    return this.#system
  }
}
