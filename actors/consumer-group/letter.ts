import type { StoredMessage } from '../../model/message/message.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'

/** A dead letter by its place in its topic. */
export interface Letter {
  readonly queue: ConsumeQueue
  readonly message: StoredMessage
}

/** False when it was redriven, purged or trimmed since it was looked at. */
export const isThere = ({ queue, message: { queueOffset } }: Letter): boolean =>
  queueOffset >= queue.offsetMin && !queue.isEnded(queueOffset)
