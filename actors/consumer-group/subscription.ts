import type { SessionBook } from '../session/session-book.ts'
import type { Topic } from '../topic/topic.ts'
import { DeliveriesCell } from './deliveries-cell.ts'
import type { Group } from './group.ts'
import type { ParkedReceives } from './parked-receives.ts'

/**
 * A group's consumption of one topic: deliveries per queue, made when first used, and who waits.
 */
export class Subscription {
  readonly group: Group
  readonly topic: Topic
  readonly cells: (DeliveriesCell | undefined)[] = []
  readonly parked: ParkedReceives
  readonly #sessionOf: (clientId: string) => number
  /** Queue with which the next receive begins, so that all are served alike. */
  turn = 0
  messagesOut = 0
  /** Of these, read from the tier. */
  tieredOut = 0
  bytesOut = 0
  deadLettered = 0

  constructor(group: Group, topic: Topic, parked: ParkedReceives, sessions: SessionBook) {
    this.group = group
    this.topic = topic
    this.parked = parked
    this.#sessionOf = (clientId) => sessions.hold(clientId, this)
  }

  /** True when the group has a place on any queue of the topic. */
  get hasBegun(): boolean {
    return this.cells.some((cell) => cell !== undefined)
  }

  cell(queueId: number): DeliveriesCell | undefined {
    return this.cells[queueId]
  }

  ensureCell(queueId: number): DeliveriesCell {
    const cell = this.cells[queueId]
    if (cell) return cell
    const { groupId } = this.group
    const { topicId } = this.topic
    const made = new DeliveriesCell({ groupId, topicId, queueId }, this.#sessionOf)
    made.deliveries.next = this.topic.queues[queueId]?.offsetMin ?? 0
    this.cells[queueId] = made
    return made
  }

  /** True while a session renews a lease of this subscription. */
  isHeldBy(session: number): boolean {
    return this.cells.some((cell) => cell?.deliveries.isHeldBy(session))
  }

  /** No lease of this subscription ends before; infinity when there is none. */
  get deadlineMin(): number {
    let deadlineMin = Number.POSITIVE_INFINITY
    for (const cell of this.cells)
      if (cell) deadlineMin = Math.min(deadlineMin, cell.deliveries.deadlineMin)
    return deadlineMin
  }
}
