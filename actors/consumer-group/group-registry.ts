import {
  type GroupOptions,
  type GroupSettings,
  groupSettingsOf,
} from '../../model/addressing/group.ts'
import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import type { OffsetReset, OffsetResetResult } from '../../model/delivery/administration.ts'
import { BrokerError } from '../../model/errors.ts'
import type { GroupDescription, GroupProgress, Groups, GroupSummary } from '../../model/ports.ts'
import { deadLetterTopicOf } from '../../model/addressing/names.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import {
  type EndWaiter,
  InFlight,
  nextOwnerId,
  type RegistryDeps,
  tooMany,
} from '../broker/owners.ts'
import type { Consequence } from '../commit-log/pending-chunk.ts'
import type { Group } from './group.ts'
import { groupAddress, groupLogic } from './group.actor.ts'
import type { TierReader } from '../tier/tier-reader.ts'
import type { Leases } from './leases.ts'
import { OffsetResets } from './offset-resets.ts'
import type { Progress } from './progress.ts'

interface GroupRegistryDeps extends RegistryDeps {
  readonly leases: Leases
  readonly progress: Progress
  readonly tierReader?: TierReader | undefined
}

const notEnded = () =>
  new BrokerError('STORE_UNAVAILABLE', { store: 'CommitLog', operation: 'write' })

/** Consumer groups by name; created on first use. */
export class GroupRegistry implements Groups {
  readonly #deps: GroupRegistryDeps
  readonly #logic: ReturnType<typeof groupLogic>
  readonly #resets: OffsetResets
  readonly #creating = new InFlight<Group>()
  readonly #ending = new Map<string, Promise<void>>()
  readonly #endWaiters = new Map<string, EndWaiter>()

  constructor(deps: GroupRegistryDeps) {
    this.#deps = deps
    this.#resets = new OffsetResets(deps)
    this.#logic = groupLogic(deps)
  }

  startAll(): void {
    for (const group of this.#deps.state.groups.values())
      if (group.status !== 'dropped') this.#start(group)
  }

  async create(name: string, options: GroupOptions = {}): Promise<GroupDescription> {
    await this.ensure(name, groupSettingsOf(name, options))
    return this.describe(name)
  }

  async update(name: string, options: GroupOptions): Promise<GroupDescription> {
    groupSettingsOf(name, { ...this.get(name).settings, ...options })
    // As a trim: in force when synced, and no checkpoint is written before.
    await this.#deps.index.exclusive(() => this.#update(this.get(name), options))
    return this.describe(name)
  }

  async #update(group: Group, options: GroupOptions): Promise<void> {
    const { state, log } = this.#deps
    const { groupId, name } = group
    const settings = groupSettingsOf(name, { ...group.settings, ...options })
    const fact = { type: 'groupUpdated', groupId, settings } as const
    const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
      synced: () => {
        state.foldRegistry(fact, admitted.chunk.offset + admitted.at)
        for (const { parked } of group.subscriptions.values()) parked.wake()
      },
    })
    await log.whenSynced(admitted)
  }

  async resetOffsets(name: string, reset: OffsetReset): Promise<OffsetResetResult[]> {
    return this.#resets.reset(this.get(name), reset)
  }

  describe(name: string): GroupDescription {
    const group = this.get(name)
    return { ...group.summary, progress: [...progressOf(group, this.#deps.progress)] }
  }

  list(): GroupSummary[] {
    return [...this.#deps.state.groupsByName.values()]
      .filter(({ isVisible }) => isVisible)
      .map(({ name, groupId, status }) => ({ name, groupId, state: status }))
  }

  find(name: string): (GroupSummary & GroupSettings) | undefined {
    return this.#deps.state.groupNamed(name)?.summary
  }

  async end(name: string): Promise<void> {
    const running = this.#ending.get(name)
    if (running) return running
    const ending = this.#end(this.get(name)).finally(() => this.#ending.delete(name))
    this.#ending.set(name, ending)
    return ending
  }

  get(name: string): Group {
    const group = this.#deps.state.groupNamed(name)
    if (group === undefined) throw new BrokerError('GROUP_NOT_FOUND', { group: name })
    return group
  }

  async ensure(name: string, settings?: GroupSettings): Promise<Group> {
    const known = this.#deps.state.groupNamed(name)
    if (known?.status === 'serving') return known
    if (known) throw new BrokerError('GROUP_ENDING', { group: name })
    return this.#creating.run(name, () => this.#create(name, settings ?? this.#settingsOf(name)))
  }

  ended(groupId: number): void {
    const address = groupAddress(groupId)
    this.#endWaiters.get(address)?.resolve()
    this.#endWaiters.delete(address)
  }

  /** The broker closes: an ending goes on at the next start. */
  close(): void {
    for (const waiter of this.#endWaiters.values())
      waiter.reject(new BrokerError('BROKER_CLOSED', {}))
    this.#endWaiters.clear()
  }

  /** Of a group that a receive creates. */
  #settingsOf(name: string): GroupSettings {
    return groupSettingsOf(name, { startFrom: this.#deps.settings.groupsStartFrom })
  }

  async #create(name: string, settings: GroupSettings): Promise<Group> {
    const { state, log, settings: limits } = this.#deps
    log.checkWritable()
    if (state.groupsByName.size >= limits.groupsMax) throw tooMany('groups', limits.groupsMax)
    const groupId = nextOwnerId(state)
    const fact: RegistryFact = {
      type: 'groupCreated',
      group: { groupId, name, status: 'serving', ...settings },
    }
    const admitted = log.admitFact(encodeRegistryFact(fact), 'durable', {
      synced: () => {
        group.isVisible = true
        this.#start(group)
      },
      gone: () => state.forgetGroup(group),
    })
    state.foldRegistry(fact, admitted.chunk.offset + admitted.at)
    const group = state.groupShell(groupId)
    await log.whenSynced(admitted)
    return group
  }

  async #end(group: Group): Promise<void> {
    const address = groupAddress(group.groupId)
    const ended = new Promise<void>((resolve, reject) =>
      this.#endWaiters.set(address, { resolve, reject }),
    )
    ended.catch(() => {})
    if (group.status === 'serving')
      await this.#commit(
        { type: 'groupEnded', groupId: group.groupId },
        {
          synced: () => this.#deps.supervision.send(address, { type: 'group.end' }),
          gone: () => {
            group.status = 'serving'
            this.#endWaiters.get(address)?.reject(notEnded())
          },
        },
      )
    await ended
    this.#tellOfLetters(group)
  }

  /** They outlive the group: what nobody could handle is not to vanish with whom it failed. */
  #tellOfLetters({ name }: Group): void {
    const letters = this.#deps.state.topicNamed(deadLetterTopicOf(name))
    if (letters === undefined) return
    this.#deps.logger.info(
      { group: name, topic: letters.name, messages: letters.messages },
      'the group has ended; its dead letters stay until they are redriven, purged or expire',
    )
  }

  async #commit(fact: RegistryFact, consequence: Consequence): Promise<void> {
    const { state, log } = this.#deps
    const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', consequence)
    state.foldRegistry(fact, admitted.chunk.offset + admitted.at)
    await log.whenSynced(admitted)
  }

  #start(group: Group): void {
    this.#deps.supervision.start(groupAddress(group.groupId), this.#logic, () => ({
      groupId: group.groupId,
      status: group.status === 'ending' ? 'ending' : 'serving',
    }))
  }
}

function* progressOf(group: Group, progress: Progress): Generator<GroupProgress> {
  for (const subscription of group.subscriptions.values()) {
    const { topic } = subscription
    for (const queue of topic.queues) {
      const { floor, inFlight, ready, oldestUnacked } = progress.of(subscription, queue)
      const oldestUnackedAgeMs = progress.ageMs(topic, queue, oldestUnacked)
      yield {
        ...{ topic: topic.name, queueId: queue.queueId },
        ...{ floor, inFlight, ready, lag: inFlight + ready },
        ...(oldestUnackedAgeMs === undefined ? {} : { oldestUnackedAgeMs }),
      }
    }
  }
}
