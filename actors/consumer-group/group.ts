import { type GroupSettings, groupDefaults } from '../../model/addressing/group.ts'
import type { GroupState, OwnerStatus } from '../../model/addressing/registry-facts.ts'
import { BrokerError } from '../../model/errors.ts'
import type { DeliveryCause, GroupSummary } from '../../model/ports.ts'
import { FactsSpan } from '../system/facts-span.ts'
import { Gate } from '../system/gate.ts'
import type { Subscription } from './subscription.ts'

/** A consumer group's projection and the gate to it. Owned by the group's actor. */
export class Group {
  readonly groupId: number
  name = ''
  settings: GroupSettings = groupDefaults
  status: OwnerStatus = 'serving'
  isVisible = false
  readonly span = new FactsSpan()
  readonly gate: Gate
  /** By topic id. */
  readonly subscriptions = new Map<number, Subscription>()
  /** Redeliveries by cause. */
  readonly causes = new Map<DeliveryCause, number>()
  /** Unacknowledged messages that retention removed. Never silent. */
  lost = 0

  constructor(groupId: number) {
    this.groupId = groupId
    this.gate = new Gate(() => new BrokerError('GROUP_NOT_FOUND', { group: this.name }))
  }

  get state(): GroupState {
    const { groupId, name, settings, status } = this
    return { groupId, name, status, ...settings }
  }

  get summary(): GroupSummary & GroupSettings {
    const { name, groupId, status, settings } = this
    return { name, groupId, state: status, ...settings }
  }

  adopt(state: GroupState): void {
    this.name = state.name
    this.status = state.status
    const { attemptsMax, startFrom, paused, retry } = state
    this.settings = { attemptsMax, startFrom, paused, retry }
  }

  release(): void {
    this.subscriptions.clear()
  }
}
