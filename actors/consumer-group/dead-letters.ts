import type { MessageContent } from '../../storage/codec/message-fact.ts'
import { deadLetterPrefix } from '../../storage/codec/message-fact.ts'
import { factType } from '../../storage/codec/fact-type.ts'
import { deadLetterTopicOf } from '../../model/addressing/names.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import { decodeProperties, encodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem, encodeSystem } from '../../model/message/system-block.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import { BrokerError } from '../../model/errors.ts'
import { javaHash } from '../../model/wire/hash.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import { unitOf } from '../broker/replay.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { loadMessage } from '../messages/load-message.ts'
import type { TierReader } from '../tier/tier-reader.ts'
import type { Topic } from '../topic/topic.ts'
import type { DeliveriesCell } from './deliveries-cell.ts'
import type { Subscription } from './subscription.ts'

export interface DeadLettersDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly tierReader?: TierReader | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** The topic of this name, created with one queue when it does not exist. Durable. */
  readonly ensureTopic: (name: string) => Promise<Topic>
}

const RETRY_MS = 1_000

/**
 * Moves messages to `%DLQ%<group>`: the copy and the end of the original are one fact, so a
 * crash leaves either the delivery or the dead letter, never both and never none. What fails
 * is deliverable again and comes back here with the next receive.
 */
export class DeadLetters {
  readonly #deps: DeadLettersDeps
  running = 0

  constructor(deps: DeadLettersDeps) {
    this.#deps = deps
  }

  /** In the background: nobody waits. The slot is held already. */
  take(subscription: Subscription, cell: DeliveriesCell, offset: number, reason: string): void {
    this.move(subscription, cell, offset, reason).catch((error: unknown) => {
      const { clock, logger } = this.#deps
      const { group, topic } = subscription
      logger.warn(
        { group: group.name, topic: topic.name, offset, error: String(error) },
        'a message could not be dead-lettered yet',
      )
      subscription.parked.wakeAt(clock.monotonicMs() + RETRY_MS)
    })
  }

  /** Resolves when the dead letter is synced. The message's slot must be held for it. */
  async move(
    subscription: Subscription,
    cell: DeliveriesCell,
    offset: number,
    reason: string,
  ): Promise<void> {
    this.running++
    try {
      const target = await this.#deps.ensureTopic(deadLetterTopicOf(subscription.group.name))
      const { topic } = subscription
      const queue = topic.queues[cell.address.queueId]
      const message = queue && (await loadMessage(this.#deps, topic, { queue, offset }))
      if (message) await this.#admit(subscription, cell, { target, message, reason })
    } catch (error) {
      cell.deliveries.releaseDeadLetter(offset, this.#deps.clock.monotonicMs())
      throw error
    } finally {
      this.running--
    }
  }

  async #admit(
    subscription: Subscription,
    cell: DeliveriesCell,
    letter: { target: Topic; message: StoredMessage; reason: string },
  ): Promise<void> {
    const { state, log } = this.#deps
    const { target, message } = letter
    const { parked } = subscription
    // Its owner ended meanwhile, or retention removed it: there is nothing left to move.
    if (!state.isOwned(cell) || !cell.deliveries.isHeld(message.queueOffset)) return
    if (cell.isResetting)
      throw new BrokerError('THROTTLED', { reason: 'the offsets are being reset' })
    target.gate.pass()
    const queue = target.route('')
    const content = contentOf(letter)
    const ends = { ...cell.address, queueOffset: message.queueOffset }
    const place = {
      topicId: target.topicId,
      queueId: queue.queueId,
      queueOffset: queue.admittedEnd,
      storeAtMs: log.storeAtMs(),
    }
    const admitted = log.admitMessage(place, content, {
      type: factType.messageDeadLettered,
      prefix: deadLetterPrefix(ends),
    })
    const { chunk, at, size } = admitted
    const position = chunk.offset + at
    state.foldAppended(target, queue, unitOf(content, { chunk: chunk.offset, at, size }))
    chunk.touch(queue, queue.admittedEnd)
    cell.deliveries.admitDeadLetter(message.queueOffset)
    cell.span.note(position)
    state.dirtyCells.add(cell)
    chunk.consequences.push({
      synced: () => {
        subscription.deadLettered++
        const fact = { type: 'acked', runs: [message.queueOffset, 1] } as const
        if (state.isOwned(cell)) state.foldDelivery(cell, fact, { position, skewMs: 0 })
        parked.wake()
      },
      gone: () =>
        cell.deliveries.releaseDeadLetter(message.queueOffset, this.#deps.clock.monotonicMs()),
    })
    await log.whenSynced(admitted)
  }
}

const contentOf = ({
  message,
  reason,
}: {
  message: StoredMessage
  reason: string
}): MessageContent => {
  const system = decodeSystem(message.system)
  const properties = decodeProperties(message.properties)
  const { messageId, messageGroup } = system
  // A letter that was dead-lettered once more still knows where it first came from.
  const origin = system.origin ?? { topic: message.topic, messageId, messageGroup }
  return {
    type: 'NORMAL',
    tagsCode: javaHash(system.tag),
    groupHash: 0,
    system: encodeSystem({ ...system, messageGroup: '', origin }),
    properties: encodeProperties({ ...properties, DLQ_REASON: reason }),
    body: message.body,
  }
}
