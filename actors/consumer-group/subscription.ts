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
  /** Queue with which the next receive begins, so that all are served alike. */
  turn = 0
  messagesOut = 0
  bytesOut = 0

  constructor(group: Group, topic: Topic, parked: ParkedReceives) {
    this.group = group
    this.topic = topic
    this.parked = parked
  }

  cell(queueId: number): DeliveriesCell | undefined {
    return this.cells[queueId]
  }

  ensureCell(queueId: number): DeliveriesCell {
    const cell = this.cells[queueId]
    if (cell) return cell
    const { groupId } = this.group
    const { topicId } = this.topic
    const made = new DeliveriesCell({ groupId, topicId, queueId })
    made.deliveries.next = this.topic.queues[queueId]?.offsetMin ?? 0
    this.cells[queueId] = made
    return made
  }

  /** No lease of this subscription ends before; infinity when there is none. */
  get deadlineMin(): number {
    let deadlineMin = Number.POSITIVE_INFINITY
    for (const cell of this.cells)
      if (cell) deadlineMin = Math.min(deadlineMin, cell.deliveries.deadlineMin)
    return deadlineMin
  }
}
