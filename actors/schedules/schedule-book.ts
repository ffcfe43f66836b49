import { checkRule } from '../../machines/schedules/next-run.ts'
import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import { checkMessageType } from '../../model/addressing/topic.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import {
  isSameSchedule,
  scheduleLimits,
  type ScheduleState,
  scheduleStateOf,
} from '../../model/schedule/schedule-state.ts'
import type {
  ScheduleDescription,
  ScheduleOptions,
  Schedules,
} from '../../model/schedule/schedules.ts'
import type { Timers } from '../../model/timer/timers.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { Share } from '../commit-log/admission.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { Topic } from '../topic/topic.ts'
import type { RunPlanner } from './run-planner.ts'

export interface ScheduleBookDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly clock: Clock
  readonly timers: Timers
  readonly planner: RunPlanner
}

interface Found {
  readonly topic: Topic
  readonly schedule: ScheduleState
}

/** Schedules by name: what their topics keep of them, and every change as a durable fact. */
export class ScheduleBook implements Schedules {
  readonly #deps: ScheduleBookDeps
  /** Admitted and not synced: only their creators know of them. */
  readonly #unsynced = new Set<string>()

  constructor(deps: ScheduleBookDeps) {
    this.#deps = deps
  }

  async create(name: string, options: ScheduleOptions): Promise<ScheduleDescription> {
    const { state, log, clock, planner } = this.#deps
    const topic = state.topicNamed(options.topic)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: options.topic })
    topic.gate.passAdding()
    checkMessageType({ name: topic.name, type: topic.settings.type }, 'DELAY')
    const nowMs = Math.floor(clock.wallMs())
    // The next fact's place in the log, and this is that fact: never given out twice.
    const schedule = scheduleStateOf(name, options, { scheduleId: log.position, nowMs })
    checkRule(name, schedule.rule, nowMs)
    const known = this.#find(name)
    if (known) return this.#same(known, topic, schedule)
    const { perTopicMax } = scheduleLimits
    if (topic.schedules.size >= perTopicMax)
      throw new BrokerError('TOPICS_TOO_MANY', { what: 'schedules of the topic', max: perTopicMax })
    const { scheduleId } = schedule
    this.#unsynced.add(name)
    try {
      const created = this.#commit(topic, schedule, 'durable')
      planner.want(topic.topicId, scheduleId)
      await created
    } finally {
      this.#unsynced.delete(name)
    }
    return this.describe(name)
  }

  list(topicName?: string): ScheduleDescription[] {
    const { state } = this.#deps
    if (topicName !== undefined && state.topicNamed(topicName) === undefined)
      throw new BrokerError('TOPIC_NOT_FOUND', { topic: topicName })
    return [...this.#all()]
      .filter(({ topic }) => topicName === undefined || topic.name === topicName)
      .filter(({ schedule }) => !this.#unsynced.has(schedule.name))
      .map((found) => this.#descriptionOf(found))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  describe(name: string): ScheduleDescription {
    return this.#descriptionOf(this.#get(name))
  }

  async pause(name: string): Promise<ScheduleDescription> {
    const found = this.#get(name)
    await this.#change(found, () => this.#setPaused(found, true))
    return this.describe(name)
  }

  async resume(name: string): Promise<ScheduleDescription> {
    const { planner } = this.#deps
    const found = this.#get(name)
    await this.#setPaused(found, false)
    planner.want(found.topic.topicId, found.schedule.scheduleId)
    return this.describe(name)
  }

  async delete(name: string): Promise<void> {
    const found = this.#get(name)
    await this.#change(found, async () => {
      const { topic, schedule } = found
      const { topicId } = topic
      const { scheduleId } = schedule
      await this.#admit(topic, { type: 'scheduleEnded', topicId, scheduleId }, 'freeing', () =>
        topic.schedules.set(scheduleId, schedule),
      )
    })
  }

  // ——— inside

  /** Its run is cancelled first: a crash in between plans it again, and leaves nothing over. */
  async #change({ topic, schedule }: Found, change: () => Promise<void>): Promise<void> {
    const { planner, timers } = this.#deps
    topic.gate.pass()
    await planner.hold(topic.topicId, schedule.scheduleId, async () => {
      const { timerId } = topic.schedules.get(schedule.scheduleId) ?? schedule
      if (planner.isPlanned(schedule)) await timers.cancel(String(timerId))
      await change()
    })
  }

  async #setPaused({ topic, schedule }: Found, paused: boolean): Promise<void> {
    const now = topic.schedules.get(schedule.scheduleId)
    if (now === undefined) throw notFound(schedule.name)
    if (now.paused !== paused) await this.#commit(topic, { ...now, paused }, 'freeing')
  }

  #commit(topic: Topic, schedule: ScheduleState, share: Share): Promise<void> {
    const { topicId } = topic
    const { scheduleId } = schedule
    const before = topic.schedules.get(scheduleId)
    return this.#admit(topic, { type: 'scheduleSet', topicId, schedule }, share, () =>
      before ? topic.schedules.set(scheduleId, before) : topic.schedules.delete(scheduleId),
    )
  }

  async #admit(topic: Topic, fact: RegistryFact, share: Share, undo: () => void): Promise<void> {
    const { state, log } = this.#deps
    topic.gate.pass()
    const admitted = log.admitFact(encodeRegistryFact(fact), share, { gone: undo })
    state.foldRegistry(fact, admitted.chunk.offset + admitted.at)
    await log.whenSynced(admitted)
  }

  async #same(known: Found, topic: Topic, wanted: ScheduleState): Promise<ScheduleDescription> {
    const { name } = wanted
    if (known.topic !== topic || !isSameSchedule(known.schedule, wanted))
      throw new BrokerError('SCHEDULE_EXISTS', { schedule: name })
    await this.#deps.log.flush()
    return this.describe(name)
  }

  *#all(): Generator<Found> {
    for (const topic of this.#deps.state.topicsByName.values())
      if (topic.isVisible && topic.status === 'serving')
        for (const schedule of topic.schedules.values()) yield { topic, schedule }
  }

  #find(name: string): Found | undefined {
    for (const found of this.#all()) if (found.schedule.name === name) return found
    return undefined
  }

  #get(name: string): Found {
    const found = this.#find(name)
    if (found === undefined || this.#unsynced.has(name)) throw notFound(name)
    return found
  }

  #descriptionOf({ topic, schedule }: Found): ScheduleDescription {
    const { name, rule, missed, paused, createdAtMs, plannedAtMs, timerId } = schedule
    return {
      name,
      topic: topic.name,
      rule,
      missed,
      state: paused ? 'paused' : 'active',
      createdAtMs,
      ...(this.#deps.planner.isPlanned(schedule)
        ? { nextRunAtMs: plannedAtMs, timerId: String(timerId) }
        : {}),
    }
  }
}

const notFound = (schedule: string) => new BrokerError('SCHEDULE_NOT_FOUND', { schedule })
