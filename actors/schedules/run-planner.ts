import { createActor, fromPromise } from 'xstate'
import { nextRunMs } from '../../machines/schedules/next-run.ts'
import { schedulesMachine } from '../../machines/schedules/schedules.machine.ts'
import { runMessageOf, type ScheduleState } from '../../model/schedule/schedule-state.ts'
import type { Timers } from '../../model/timer/timers.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import { contentOf } from '../broker/content.ts'
import type { LoopDescription } from '../../model/admin.ts'
import { loopOf } from '../system/loop.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import { LoopClock } from '../system/xstate-clock.ts'
import type { DeferredLog } from '../timer-wheel/deferred-log.ts'
import type { Topic } from '../topic/topic.ts'

export interface RunPlannerDeps extends ActorSystemDeps {
  readonly state: BrokerState
  readonly deferred: DeferredLog
  readonly timers: Timers
}

interface Wanting {
  readonly topicId: number
  readonly scheduleId: number
  /** Its last run ended before this start: what was missed meanwhile counts. */
  readonly isAfterStop: boolean
}

/** Where runs say that they come from. */
const PRODUCER = 'schedule'

const keyOf = (topicId: number, scheduleId: number): string => `${topicId}:${scheduleId}`

/**
 * Gives `schedulesMachine` its hands. An active schedule has one run that is planned: a timer,
 * by a fact that says which run it is. When that timer has ended, however it did, the next run
 * is planned behind it; after a crash between the two it is planned at the next start.
 */
export class RunPlanner {
  readonly #deps: RunPlannerDeps
  readonly #clock: LoopClock
  readonly #actor
  readonly #wanting = new Map<string, Wanting>()
  readonly #held = new Set<string>()
  #isAsked = false

  constructor(deps: RunPlannerDeps) {
    const { clock, logger, deferred } = deps
    this.#deps = deps
    this.#clock = new LoopClock(clock)
    const machine = schedulesMachine.provide({
      actors: { planRuns: fromPromise(async () => this.#planAll()) },
      guards: { hasMore: () => this.#wanting.size > 0 },
    })
    this.#actor = createActor(machine, {
      id: 'schedules',
      systemId: 'schedules',
      clock: this.#clock,
      ...(deps.inspect ? { inspect: deps.inspect } : {}),
      input: { backoff: { msBase: 100, msMax: 10_000 } },
    })
    this.#actor.subscribe({
      error: (error) => logger.error({ error: String(error) }, 'planning runs failed'),
    })
    deferred.onTimerEnded = (topicId, timerId) => this.#ended(topicId, timerId)
  }

  get loop(): LoopDescription {
    return loopOf('schedules', this.#actor, this.#clock)
  }

  /** Before the wheel turns: runs that were missed are made up for, or cancelled. */
  async start(): Promise<void> {
    this.#actor.start()
    for (const topic of this.#deps.state.topics.values())
      for (const schedule of topic.schedules.values())
        try {
          await this.#take(topic, schedule)
        } catch (error) {
          // The broker starts all the same, and the run comes late instead of never.
          const fields = { schedule: schedule.name, error: String(error) }
          this.#deps.logger.warn(fields, 'a missed run could not be cancelled')
        }
    this.#look()
  }

  stop(): void {
    this.#actor.send({ type: 'schedules.stop' })
    this.#actor.stop()
  }

  /** True while the schedule's run waits. */
  isPlanned({ plannedAtMs, timerId }: ScheduleState): boolean {
    return plannedAtMs > 0 && this.#deps.state.deferred.timer.outcomes.isPending(timerId)
  }

  /** Plans the next run in this turn, or as soon as it can be. */
  want(topicId: number, scheduleId: number): void {
    this.#enqueue({ topicId, scheduleId, isAfterStop: false })
    try {
      this.#planAll()
    } catch {
      // The chart tries again, and shows why it could not.
      this.#look()
    }
  }

  /** Plans nothing for a schedule while it changes. */
  async hold<Result>(
    topicId: number,
    scheduleId: number,
    change: () => Promise<Result>,
  ): Promise<Result> {
    const key = keyOf(topicId, scheduleId)
    this.#held.add(key)
    try {
      return await change()
    } finally {
      this.#held.delete(key)
      this.want(topicId, scheduleId)
    }
  }

  // ——— inside

  async #take(topic: Topic, schedule: ScheduleState): Promise<void> {
    const { timers, clock } = this.#deps
    const { topicId } = topic
    const { scheduleId, paused, missed } = schedule
    if (!this.isPlanned(schedule)) {
      this.#enqueue({ topicId, scheduleId, isAfterStop: true })
      return
    }
    const timerId = String(schedule.timerId)
    const dueAtMs = (await timers.show(timerId))?.dueAtMs ?? 0
    if (paused || (missed === 'skip' && dueAtMs <= clock.wallMs())) await timers.cancel(timerId)
  }

  #ended(topicId: number, timerId: number): void {
    const topic = this.#deps.state.topics.get(topicId)
    if (topic === undefined || topic.schedules.size === 0) return
    for (const { scheduleId, ...schedule } of topic.schedules.values())
      if (schedule.timerId === timerId && schedule.plannedAtMs > 0) {
        this.#enqueue({ topicId, scheduleId, isAfterStop: false })
        this.#look()
      }
  }

  #enqueue(wanting: Wanting): void {
    this.#wanting.set(keyOf(wanting.topicId, wanting.scheduleId), wanting)
  }

  /** One event for all that ends in a turn, when that turn's decisions are made. */
  #look(): void {
    if (this.#isAsked) return
    this.#isAsked = true
    void Promise.resolve().then(() => {
      this.#isAsked = false
      this.#actor.send({ type: 'schedules.look' })
    })
  }

  /** What cannot be planned stays wanted, and holds up no other. */
  #planAll(): void {
    const failures: unknown[] = []
    for (const [key, wanting] of this.#wanting)
      try {
        this.#plan(wanting)
        this.#wanting.delete(key)
      } catch (error) {
        failures.push(error)
      }
    if (failures.length > 0) throw failures[0]
  }

  #plan({ topicId, scheduleId, isAfterStop }: Wanting): void {
    const { state, deferred, clock } = this.#deps
    const topic = state.topics.get(topicId)
    const schedule = topic?.schedules.get(scheduleId)
    if (topic?.status !== 'serving' || schedule === undefined || schedule.paused) return
    if (this.#held.has(keyOf(topicId, scheduleId)) || this.isPlanned(schedule)) return
    const nowMs = clock.wallMs()
    const { plannedAtMs, missed } = schedule
    const isMadeUpFor = isAfterStop && missed === 'once' && plannedAtMs > 0
    const runAtMs = nextRunMs(
      schedule.rule,
      isMadeUpFor ? plannedAtMs : Math.max(plannedAtMs, nowMs),
    )
    if (runAtMs === undefined) return
    topic.gate.passAdding()
    const content = contentOf(runMessageOf(schedule, { runAtMs, nowMs, host: PRODUCER }))
    const { chunk } = deferred.planRun(topic, content, { scheduleId, dueMs: runAtMs })
    chunk.consequences.push({
      gone: () => {
        const now = topic.schedules.get(scheduleId)
        const { timerId } = schedule
        if (now) topic.schedules.set(scheduleId, { ...now, plannedAtMs, timerId })
        this.#enqueue({ topicId, scheduleId, isAfterStop })
        this.#look()
      },
    })
  }
}
