import type { MessageDraft } from '../message/encode.ts'
import type { Span } from '../timer/span.ts'

/** When the runs of a schedule are. */
export type ScheduleRule =
  /** At `fromMs` (wall clock) and every `everyMs` after it, whatever the broker does meanwhile. */
  | { readonly everyMs: number; readonly fromMs: number }
  /**
   * A cron pattern of five parts, or six with seconds first, in a time zone such as
   * `Europe/Berlin`. A run whose hour a change of clocks leaves out comes an hour later; one whose
   * hour comes twice runs the first time.
   */
  | { readonly cron: string; readonly timeZone: string }

/**
 * What becomes of runs whose time passed while no broker ran: one of them is made up for at
 * start, however many there were, or none is.
 */
export type MissedRuns = 'once' | 'skip'

export interface ScheduleOptions {
  /** Of type DELAY or MIXED; ending it ends its schedules. */
  readonly topic: string
  /** A span of at least a second, such as `'10 minutes'`; or a cron pattern. */
  readonly every?: Span
  /** Of `every`: where to count from, wall clock; default now. */
  readonly fromMs?: number
  readonly cron?: string
  /** Of `cron`; default `UTC`. */
  readonly timeZone?: string
  /** Default `once`. */
  readonly missed?: MissedRuns
  /** What each run sends. Its message id is the schedule's name, `@` and the time of the run. */
  readonly message: ScheduleDraft
}

export type ScheduleDraft = Pick<
  MessageDraft,
  'body' | 'tag' | 'keys' | 'properties' | 'messageGroup'
>

export interface ScheduleDescription {
  readonly name: string
  readonly topic: string
  readonly rule: ScheduleRule
  readonly missed: MissedRuns
  readonly state: 'active' | 'paused'
  readonly createdAtMs: number
  /** Undefined while it is paused, and when its rule has no more runs. */
  readonly nextRunAtMs?: number
  /** The timer that is the next run: `timers.show(timerId)`. */
  readonly timerId?: string
}

/**
 * Messages that are sent again and again. Each run is a timer, planned by one fact and delivered
 * by one fact, so a crash neither loses a run nor makes it twice; the next run is planned when
 * one is delivered, recalled or cancelled.
 */
export interface Schedules {
  /**
   * Durable when it resolves. Names are unique: `SCHEDULE_EXISTS` unless it is the same. Throws
   * `SCHEDULE_ILLEGAL`, `TOPIC_NOT_FOUND`, `MESSAGE_TYPE_CONFLICT`, and what a send may throw.
   */
  create(name: string, options: ScheduleOptions): Promise<ScheduleDescription>
  list(topic?: string): ScheduleDescription[]
  /** Throws `SCHEDULE_NOT_FOUND`, as the following do. */
  describe(name: string): ScheduleDescription
  /** Cancels the next run, and plans no other. */
  pause(name: string): Promise<ScheduleDescription>
  /** Goes on with the first run after now. */
  resume(name: string): Promise<ScheduleDescription>
  delete(name: string): Promise<void>
}
