import { Cron } from 'croner'
import { BrokerError } from '../../model/errors.ts'
import type { ScheduleRule } from '../../model/schedule/schedules.ts'

/**
 * The first run after a moment, both wall clock in ms; undefined when there is none. A function
 * of rule and moment alone: nothing here asks what time it is.
 */
export const nextRunMs = (rule: ScheduleRule, afterMs: number): number | undefined => {
  if ('cron' in rule) return cronOf(rule).nextRun(new Date(afterMs))?.getTime()
  const { everyMs, fromMs } = rule
  if (afterMs < fromMs) return fromMs
  return fromMs + (Math.floor((afterMs - fromMs) / everyMs) + 1) * everyMs
}

/** Throws `SCHEDULE_ILLEGAL` for a pattern or a time zone that means nothing, or runs never. */
export const checkRule = (name: string, rule: ScheduleRule, nowMs: number): void => {
  let runMs: number | undefined
  try {
    runMs = nextRunMs(rule, nowMs)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new BrokerError('SCHEDULE_ILLEGAL', { name, reason }, { cause })
  }
  if (runMs === undefined)
    throw new BrokerError('SCHEDULE_ILLEGAL', { name, reason: 'it would never run' })
}

/** `paused`: only asked, never started. */
const cronOf = ({ cron, timeZone }: { cron: string; timeZone: string }): Cron =>
  new Cron(cron, { timezone: timeZone, paused: true })
