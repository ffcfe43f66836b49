import type { ScheduleState } from '../../model/schedule/schedule-state.ts'
import type { MissedRuns, ScheduleRule } from '../../model/schedule/schedules.ts'
import type { Cursor } from '../../model/wire/varint.ts'
import { type Field, readBytes, readText } from './fields.ts'

const missedRuns = ['once', 'skip'] as const satisfies readonly MissedRuns[]
const INTERVAL = 0
const CRON = 1

const ruleFields = (rule: ScheduleRule): Field[] =>
  'cron' in rule ? [CRON, rule.cron, rule.timeZone] : [INTERVAL, rule.everyMs, rule.fromMs]

const readRule = (payload: Cursor): ScheduleRule =>
  payload.varint() === CRON
    ? { cron: readText(payload), timeZone: readText(payload) }
    : { everyMs: payload.varint(), fromMs: payload.varint() }

/** A schedule, in its own fact and in its topic's state (docs/formats/facts.md). */
export const scheduleFields = (schedule: ScheduleState): Field[] => {
  const { message } = schedule
  return [
    schedule.scheduleId,
    schedule.name,
    ...ruleFields(schedule.rule),
    missedRuns.indexOf(schedule.missed),
    schedule.paused ? 1 : 0,
    Math.floor(schedule.createdAtMs),
    schedule.plannedAtMs,
    schedule.timerId,
    message.tag,
    message.messageGroup,
    message.keys.length,
    ...message.keys,
    message.properties,
    message.body,
  ]
}

export const readSchedule = (payload: Cursor): ScheduleState => ({
  scheduleId: payload.varint(),
  name: readText(payload),
  rule: readRule(payload),
  missed: missedRuns[payload.varint()] ?? 'once',
  paused: payload.varint() === 1,
  createdAtMs: payload.varint(),
  plannedAtMs: payload.varint(),
  timerId: payload.varint(),
  message: {
    tag: readText(payload),
    messageGroup: readText(payload),
    keys: Array.from({ length: payload.varint() }, () => readText(payload)),
    properties: readBytes(payload),
    body: readBytes(payload),
  },
})
