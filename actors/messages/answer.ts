import type { StoredMessage } from '../../model/message/message.ts'
import type { MessageView } from '../../model/message/trace.ts'
import { viewOf } from './message-view.ts'

export const LIMIT_DEFAULT = 32
export const LIMIT_MAX = 1_000
/** One answer holds no more than this of bodies, and at least one message. */
export const ANSWER_BYTES_MAX = 16 << 20

/** Views under construction: each message once, bounded in number and bytes. */
export class Answer {
  readonly views: MessageView[] = []
  readonly #places = new Set<string>()
  readonly #limit: number
  #bytes = 0

  constructor(limit = LIMIT_DEFAULT) {
    this.#limit = Math.min(Math.max(1, Math.floor(limit)), LIMIT_MAX)
  }

  get isFull(): boolean {
    return this.views.length >= this.#limit || this.#bytes >= ANSWER_BYTES_MAX
  }

  get oldestFirst(): readonly MessageView[] {
    return this.views.sort((a, b) => a.storeAtMs - b.storeAtMs)
  }

  add(message: StoredMessage): void {
    const place = `${message.topicId}/${message.queueId}/${message.queueOffset}`
    if (this.#places.has(place)) return
    this.#places.add(place)
    this.views.push(viewOf(message))
    this.#bytes += message.body.length
  }
}
