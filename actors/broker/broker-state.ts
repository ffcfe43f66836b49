import { LogSpace } from '../../machines/retention/log-space.ts'
import { DeferredSet, type DeferredSetOptions } from '../../machines/timer-wheel/deferred-set.ts'
import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import type { DeliveriesAddress, DeliveryFact } from '../../model/delivery/facts.ts'
import type { DeferredKind } from '../../model/deferred/deferred.ts'
import type { EndedDelivery, EndedLetter } from '../../storage/codec/message-fact.ts'
import type { Unit } from '../../storage/codec/unit-block.ts'
import type { DeliveriesCell } from '../consumer-group/deliveries-cell.ts'
import { Group } from '../consumer-group/group.ts'
import { ParkedReceives, type ParkingLot } from '../consumer-group/parked-receives.ts'
import { Subscription } from '../consumer-group/subscription.ts'
import type { SessionBook } from '../session/session-book.ts'
import { FactsSpan } from '../system/facts-span.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import { Topic, type TopicDeps } from '../topic/topic.ts'

export interface BrokerStateDeps extends Omit<TopicDeps, 'onGone' | 'onNews'> {
  readonly lot: ParkingLot
  readonly sessions: SessionBook
  /** Bytes of log that are reclaimed together. */
  readonly extentBytes: number
  readonly deferred: DeferredSetOptions
}

/**
 * The decision state: what folding every admitted fact gives. Commands are decided against it
 * and fold their facts here in the same turn; recovery folds the same facts through
 * `replay.ts`. Folding never refuses.
 */
export class BrokerState {
  readonly topics = new Map<number, Topic>()
  readonly topicsByName = new Map<string, Topic>()
  readonly groups = new Map<number, Group>()
  readonly groupsByName = new Map<string, Group>()
  readonly space: LogSpace
  /** Messages that are in no queue yet. */
  readonly deferred: Readonly<Record<DeferredKind, DeferredSet>>
  /** Of the facts about the log itself. */
  logSpan = new FactsSpan()
  nextOwnerId = 1
  /** Messages in the tables of all deliveries. */
  unacked = 0
  /** Of the newest message that was folded anew. */
  storeAtMs = 0
  readonly dirtyTopics = new Set<Topic>()
  readonly dirtyGroups = new Set<Group>()
  readonly dirtyCells = new Set<DeliveriesCell>()
  #news = new Set<Topic>()
  readonly #deps: BrokerStateDeps
  readonly #topicDeps: TopicDeps

  constructor(deps: BrokerStateDeps) {
    this.#deps = deps
    this.space = new LogSpace(deps.extentBytes)
    this.deferred = {
      timer: new DeferredSet('timer', deps.deferred),
      transaction: new DeferredSet('transaction', deps.deferred),
    }
    this.#topicDeps = {
      ...deps,
      onGone: (unit) => this.space.free([this.space.extentOf(unit.chunk), unit.size]),
      onNews: (topic) => this.#news.add(topic),
    }
  }

  /** Topics whose waiters have something to look at; forgotten by this call. */
  readonly drainNews = (): readonly Topic[] => {
    if (this.#news.size === 0) return []
    const news = [...this.#news]
    this.#news.clear()
    return news
  }

  // ——— look-ups; a dead incarnation is not found

  topicNamed(name: string): Topic | undefined {
    const topic = this.topicsByName.get(name)
    return topic?.isVisible ? topic : undefined
  }

  groupNamed(name: string): Group | undefined {
    const group = this.groupsByName.get(name)
    return group?.isVisible ? group : undefined
  }

  /** The topic with this id; a shell, when its creation was not folded yet. */
  topicShell(topicId: number): Topic {
    const topic = this.topics.get(topicId) ?? new Topic(topicId, this.#topicDeps)
    this.topics.set(topicId, topic)
    return topic
  }

  groupShell(groupId: number): Group {
    const group = this.groups.get(groupId) ?? new Group(groupId)
    this.groups.set(groupId, group)
    return group
  }

  subscription(group: Group, topic: Topic): Subscription {
    const known = group.subscriptions.get(topic.topicId)
    if (known) return known
    const owner = `group:${group.groupId} topic:${topic.topicId}`
    const parked = new ParkedReceives(this.#deps.lot, owner)
    const made = new Subscription(group, topic, parked, this.#deps.sessions)
    const subscriber = { wake: () => parked.wake() }
    parked.onBusy = (isBusy) =>
      isBusy ? topic.waiting.add(subscriber) : topic.waiting.delete(subscriber)
    group.subscriptions.set(topic.topicId, made)
    return made
  }

  /** Undefined for an ending or dead incarnation: late facts about it are dropped. */
  cell({ groupId, topicId, queueId }: DeliveriesAddress): DeliveriesCell | undefined {
    const group = this.groupShell(groupId)
    const topic = this.topicShell(topicId)
    if (group.status !== 'serving' || topic.status !== 'serving') return undefined
    return this.subscription(group, topic).ensureCell(queueId)
  }

  /** False for deliveries of an ended owner that somebody still holds. */
  isOwned(cell: DeliveriesCell): boolean {
    const { groupId, topicId, queueId } = cell.address
    return this.groups.get(groupId)?.subscriptions.get(topicId)?.cell(queueId) === cell
  }

  /** After deliveries were restored from the index: the sum of all of them. */
  recountUnacked(): void {
    this.unacked = 0
    for (const { subscriptions } of this.groups.values())
      for (const { cells } of subscriptions.values())
        for (const cell of cells) this.unacked += cell?.deliveries.unacked ?? 0
  }

  /** Nothing of a group's deliveries of a topic is counted, checkpointed or renewed any more. */
  endSubscription(group: Group, topicId: number): void {
    const subscription = group.subscriptions.get(topicId)
    if (subscription) this.#letGo(subscription)
    group.subscriptions.delete(topicId)
  }

  // ——— folding at admission

  foldAppended(topic: Topic, queue: ConsumeQueue, unit: Unit): void {
    queue.append(unit)
    topic.bytes += unit.size
    this.space.add(unit.chunk, unit.size)
    topic.span.note(unit.chunk + unit.at)
    this.dirtyTopics.add(topic)
  }

  foldDelivery(cell: DeliveriesCell, fact: DeliveryFact, at: FactAt): void {
    const before = cell.deliveries.unacked
    cell.deliveries.fold(fact, { skewMs: at.skewMs, sessionOf: cell.sessionOf })
    if (!cell.hasEnded) this.unacked += cell.deliveries.unacked - before
    if (fact.type === 'carried') cell.span.restart(at.position)
    else cell.span.note(at.position)
    this.dirtyCells.add(cell)
  }

  foldEnded(ends: EndedDelivery, position: number): void {
    const cell = this.cell(ends)
    if (cell === undefined || position < cell.span.asOf) return
    this.foldDelivery(cell, { type: 'acked', runs: [ends.queueOffset, 1] }, { position, skewMs: 0 })
  }

  /** A dead letter was sent back to where it came from. */
  foldLetterEnded({ topicId, queueId, queueOffset }: EndedLetter, position: number): void {
    this.foldRegistry({ type: 'lettersEnded', topicId, queueId, runs: [queueOffset, 1] }, position)
  }

  foldRegistry(fact: RegistryFact, position: number): void {
    switch (fact.type) {
      case 'topicCreated':
      case 'topicCarried':
        this.#foldTopicState(fact.topic, position, fact.type === 'topicCarried')
        return
      case 'topicUpdated':
        this.#onTopic(fact.topicId, position, (topic) => topic.applySettings(fact.settings))
        if (!fact.settings.paused) this.deferred.timer.queueNear()
        return
      case 'topicEnded':
        this.#onTopic(fact.topicId, position, (topic) => {
          if (topic.status === 'serving') topic.status = 'ending'
        })
        return
      case 'topicDropped':
        this.#onTopic(fact.topicId, position, (topic) => this.#dropTopic(topic, fact.atMs))
        if (position >= this.logSpan.asOf) this.space.free(fact.freed)
        return
      case 'scheduleSet':
        this.#onTopic(fact.topicId, position, ({ schedules }) =>
          schedules.set(fact.schedule.scheduleId, fact.schedule),
        )
        return
      case 'scheduleEnded':
        this.#onTopic(fact.topicId, position, ({ schedules }) => schedules.delete(fact.scheduleId))
        return
      case 'queueTrimmed':
        this.#foldTrimmed(fact, position)
        return
      case 'tierBegun':
        this.#onTopic(fact.topicId, position, ({ tier }) => tier.foldBegun(fact.namespace))
        return
      case 'tierAdded':
        this.#onTopic(fact.topicId, position, ({ status, tier }) => {
          if (status !== 'dropped') tier.foldAdded(fact.object)
        })
        return
      case 'tierExpired':
        this.#onTopic(fact.topicId, position, ({ tier }) =>
          tier.foldExpired(fact.queueId, fact.offsetMin),
        )
        this.#raiseFloors(fact, position)
        return
      case 'tierDropped':
        this.#onTopic(fact.topicId, position, ({ tier }) => tier.foldDropped())
        return
      case 'lettersEnded':
        this.#onTopic(fact.topicId, position, (topic) => topic.queues[fact.queueId]?.end(fact.runs))
        return
      case 'groupCreated':
        this.#foldGroupState(fact.group, position)
        return
      case 'groupUpdated':
        this.#onGroup(fact.groupId, position, (group) => {
          group.settings = fact.settings
        })
        return
      case 'groupEnded':
        this.#onGroup(fact.groupId, position, (group) => {
          if (group.status === 'serving') group.status = 'ending'
        })
        return
      case 'groupDropped':
        this.#onGroup(fact.groupId, position, (group) => this.#dropGroup(group))
        return
      case 'logOpened':
        return
      case 'logTrimmed':
        this.nextOwnerId = Math.max(this.nextOwnerId, fact.nextOwnerId)
        this.space.gaps = fact.gaps
        this.logSpan.restart(position)
        return
    }
  }

  /** A run of a schedule became a timer. */
  foldRunPlanned({ topicId, scheduleId, runAtMs, timerId }: PlannedRun, position: number): void {
    this.#onTopic(topicId, position, ({ schedules }) => {
      const schedule = schedules.get(scheduleId)
      if (schedule) schedules.set(scheduleId, { ...schedule, plannedAtMs: runAtMs, timerId })
    })
  }

  /** As before the first fact. */
  reset(): void {
    for (const topic of this.topics.values()) topic.release()
    for (const group of this.groups.values()) {
      for (const subscription of group.subscriptions.values()) this.#letGo(subscription)
      group.release()
    }
    for (const collection of [this.topics, this.topicsByName, this.groups, this.groupsByName])
      collection.clear()
    for (const dirty of [this.dirtyTopics, this.dirtyGroups, this.dirtyCells]) dirty.clear()
    this.space.restore([], [])
    this.deferred.timer.reset()
    this.deferred.transaction.reset()
    this.logSpan = new FactsSpan()
    this.nextOwnerId = 1
  }

  /** A creation that did not happen: nobody saw it, the id is simply skipped. */
  forgetTopic(topic: Topic): void {
    this.topics.delete(topic.topicId)
    if (this.topicsByName.get(topic.name) === topic) this.topicsByName.delete(topic.name)
    this.dirtyTopics.delete(topic)
    topic.release()
  }

  forgetGroup(group: Group): void {
    this.groups.delete(group.groupId)
    if (this.groupsByName.get(group.name) === group) this.groupsByName.delete(group.name)
    this.dirtyGroups.delete(group)
    group.release()
  }

  /** Facts from `from` on were admitted anew, up to `to`: spans follow, rather too wide than too narrow. */
  moved(from: number, to: number): void {
    for (const group of this.groups.values())
      for (const { cells } of group.subscriptions.values())
        for (const cell of cells) {
          if (cell === undefined || cell.span.last < from) continue
          cell.span.last = to
          if (cell.span.anchor !== undefined && cell.span.anchor > from) cell.span.anchor = from
          if (cell.span.first !== undefined && cell.span.first > from) cell.span.first = from
          this.dirtyCells.add(cell)
        }
  }

  // ——— inside

  #foldTopicState(
    state: Parameters<Topic['adopt']>[0],
    position: number,
    isCarried: boolean,
  ): void {
    this.nextOwnerId = Math.max(this.nextOwnerId, state.topicId + 1)
    const topic = this.topicShell(state.topicId)
    if (position < topic.span.asOf) return
    topic.adopt(state)
    // Of a tombstone every fact counts: it is forgotten when none of them is left.
    if (isCarried && topic.status !== 'dropped') topic.span.restart(position)
    else topic.span.note(position)
    if (topic.status === 'dropped') this.#dropTopic(topic, state.droppedAtMs)
    else this.topicsByName.set(topic.name, topic)
    this.dirtyTopics.add(topic)
  }

  #foldGroupState(state: Parameters<Group['adopt']>[0], position: number): void {
    this.nextOwnerId = Math.max(this.nextOwnerId, state.groupId + 1)
    const group = this.groupShell(state.groupId)
    if (position < group.span.asOf) return
    group.adopt(state)
    if (group.status === 'dropped') {
      group.span.note(position)
      this.#dropGroup(group)
    } else {
      group.span.restart(position)
      this.groupsByName.set(group.name, group)
    }
    this.dirtyGroups.add(group)
  }

  #onTopic(topicId: number, position: number, change: (topic: Topic) => void): void {
    const topic = this.topicShell(topicId)
    if (position < topic.span.asOf) return
    change(topic)
    topic.span.note(position)
    this.dirtyTopics.add(topic)
  }

  #onGroup(groupId: number, position: number, change: (group: Group) => void): void {
    const group = this.groupShell(groupId)
    if (position < group.span.asOf) return
    change(group)
    group.span.note(position)
    this.dirtyGroups.add(group)
  }

  #foldTrimmed(fact: Extract<RegistryFact, { type: 'queueTrimmed' }>, position: number): void {
    if (position >= this.logSpan.asOf) this.space.free(fact.freed)
    this.#onTopic(fact.topicId, position, (topic) => {
      topic.ensureQueues(fact.queueId + 1)
      topic.queues[fact.queueId]?.trim(fact.offsetMin)
      topic.bytes = Math.max(0, topic.bytes - fact.bytes)
      // It went before the tier had it: what the tier has is older, and no hole is ever visible.
      const end = topic.tier.endOf(fact.queueId)
      if (end !== undefined && end < fact.offsetMin) topic.tier.foldExpired(fact.queueId, end)
    })
    this.#raiseFloors(fact, position)
  }

  /** Nobody waits for messages that nobody has any more. */
  #raiseFloors({ topicId, queueId, floor }: Raised, position: number): void {
    for (const group of this.groups.values()) {
      const cell = group.subscriptions.get(topicId)?.cell(queueId)
      if (cell === undefined || position < cell.span.asOf) continue
      const before = cell.deliveries.unacked
      group.lost += cell.deliveries.raiseFloor(floor)
      this.unacked += cell.deliveries.unacked - before
      cell.span.note(position)
      this.dirtyCells.add(cell)
    }
  }

  #dropTopic(topic: Topic, atMs: number): void {
    topic.status = 'dropped'
    topic.droppedAtMs = atMs
    this.deferred.timer.forgetTopic(topic.topicId)
    this.deferred.transaction.forgetTopic(topic.topicId)
    topic.isVisible = false
    topic.release()
    if (this.topicsByName.get(topic.name) === topic) this.topicsByName.delete(topic.name)
    for (const group of this.groups.values()) this.endSubscription(group, topic.topicId)
  }

  #letGo(subscription: Subscription): void {
    for (const cell of subscription.cells) {
      if (cell === undefined) continue
      this.dirtyCells.delete(cell)
      this.unacked -= cell.deliveries.unacked
      cell.hasEnded = true
    }
    this.#deps.sessions.release(subscription)
  }

  #dropGroup(group: Group): void {
    group.status = 'dropped'
    group.isVisible = false
    for (const subscription of group.subscriptions.values()) this.#letGo(subscription)
    group.release()
    if (this.groupsByName.get(group.name) === group) this.groupsByName.delete(group.name)
  }
}

interface Raised {
  readonly topicId: number
  readonly queueId: number
  readonly floor: number
}

export interface PlannedRun {
  readonly topicId: number
  readonly scheduleId: number
  readonly runAtMs: number
  readonly timerId: number
}

export interface FactAt {
  readonly position: number
  /** Monotonic minus wall clock. */
  readonly skewMs: number
}
