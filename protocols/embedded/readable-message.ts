import type { StoredMessage, SystemFields } from '../../model/message/message.ts'
import { decodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import { textOf } from '../../model/wire/text.ts'

/** A message to be read. `body` shares the broker's memory: copy it before changing it. */
export class ReadableMessage {
  readonly #message: StoredMessage
  #system: SystemFields | undefined

  constructor(message: StoredMessage) {
    this.#message = message
  }

  get topic(): string {
    return this.#message.topic
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

  /** The delivery time that its producer asked for, wall clock. */
  get deliverAtMs(): number | undefined {
    return this.#fields.deliverAtMs
  }

  /** Of a dead letter: where it came from. */
  get origin(): { readonly topic: string; readonly messageId: string } | undefined {
    return this.#fields.origin
  }

  get properties(): Record<string, string> {
    return decodeProperties(this.#message.properties)
  }

  get #fields(): SystemFields {
    this.#system ??= decodeSystem(this.#message.system)
    return this.#system
  }
}
