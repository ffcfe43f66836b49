import { BrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { MessageReader } from '../consumer-group/message-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'

/** Unit, chunk, and both again when a small cache has let go of one meanwhile. */
const LOAD_ROUNDS_MAX = 16

/** The message at a queue offset; undefined when the queue does not show one there any more. */
export const loadMessage = async (
  log: CommitLog,
  topic: Topic,
  { queue, offset }: { readonly queue: ConsumeQueue; readonly offset: number },
): Promise<StoredMessage | undefined> => {
  const reader = new MessageReader(log, topic.name)
  for (let round = 0; round < LOAD_ROUNDS_MAX; round++) {
    const isShown = offset >= queue.offsetMin && offset < queue.offsetMax
    if (!isShown || topic.status === 'dropped') return undefined
    const loads: Promise<unknown>[] = []
    const unit = queue.unit(offset)
    if (unit === undefined) reader.loadUnit(queue, offset, loads)
    const message = unit && reader.read(unit, loads)
    if (message) return message
    await Promise.all(loads)
  }
  throw new BrokerError('THROTTLED', { reason: 'the message is being loaded' })
}
