import { BrokerError } from '../errors.ts'
import { encodeDraft } from '../message/encode.ts'
import { encodeSystem } from '../message/system-block.ts'
import type { EncodedMessage } from '../message/message.ts'
import { spanMs } from '../timer/span.ts'
import type { MissedRuns, ScheduleOptions, ScheduleRule } from './schedules.ts'

/** What each run sends; only id and times differ. */
export interface ScheduledMessage {
  readonly tag: string
  readonly keys: readonly string[]
  readonly messageGroup: string
  readonly properties: Uint8Array
  readonly body: Uint8Array
}

/** A schedule as its topic keeps it. */
export interface ScheduleState {
  /** Never reused within its topic. */
  readonly scheduleId: number
  readonly name: string
  readonly rule: ScheduleRule
  readonly missed: MissedRuns
  readonly paused: boolean
  readonly createdAtMs: number
  /** The run that was planned last, wall clock; 0 before the first. */
  readonly plannedAtMs: number
  /** Of the run that was planned last. */
  readonly timerId: number
  readonly message: ScheduledMessage
}

export const scheduleLimits = {
  everyMsMin: 1_000,
  bodyBytesMax: 65_536,
  perTopicMax: 256,
  nameLengthMax: 64,
} as const

const NAME = /^[a-zA-Z0-9_.-]+$/

const refuse = (name: string, reason: string) =>
  new BrokerError('SCHEDULE_ILLEGAL', { name, reason })

const ruleOf = (name: string, options: ScheduleOptions, nowMs: number): ScheduleRule => {
  const { every, cron, timeZone = 'UTC', fromMs = nowMs } = options
  if ((every === undefined) === (cron === undefined)) throw refuse(name, 'give every or cron')
  if (cron !== undefined) return { cron, timeZone }
  const everyMs = Math.floor(spanMs(every ?? 0))
  if (everyMs < scheduleLimits.everyMsMin)
    throw refuse(name, 'it runs more often than every second')
  if (!(fromMs >= 0) || !Number.isFinite(fromMs)) throw refuse(name, `${fromMs} is no time`)
  return { everyMs, fromMs: Math.floor(fromMs) }
}

/** Checks what somebody asks for; whether a cron pattern means anything is asked elsewhere. */
export const scheduleStateOf = (
  name: string,
  options: ScheduleOptions,
  { scheduleId, nowMs }: { readonly scheduleId: number; readonly nowMs: number },
): ScheduleState => {
  if (!NAME.test(name) || name.length > scheduleLimits.nameLengthMax)
    throw refuse(name, 'a name has 1 to 64 letters, digits and _ . -')
  const { missed = 'once' } = options
  if (missed !== 'once' && missed !== 'skip') throw refuse(name, "missed is 'once' or 'skip'")
  const { body, properties, tag, keys, messageGroup } = encodeDraft(options.message, {
    messageId: name,
    bornAtMs: nowMs,
    bornHost: '',
  })
  if (body.length > scheduleLimits.bodyBytesMax)
    throw refuse(name, `a body of ${body.length} bytes, not ${scheduleLimits.bodyBytesMax} at most`)
  return {
    scheduleId,
    name,
    rule: ruleOf(name, options, nowMs),
    missed,
    paused: false,
    createdAtMs: nowMs,
    plannedAtMs: 0,
    timerId: 0,
    message: {
      tag,
      keys: [...keys],
      messageGroup,
      properties: copyOf(properties),
      body: copyOf(body),
    },
  }
}

/** What the caller gave may change under its hands. */
const copyOf = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes)

/** The message of one run. The same run always has the same id, so consumers can tell repeats. */
export const runMessageOf = (
  { name, message }: ScheduleState,
  {
    runAtMs,
    nowMs,
    host,
  }: { readonly runAtMs: number; readonly nowMs: number; readonly host: string },
): EncodedMessage & { readonly deliverAtMs: number } => {
  const { tag, keys, messageGroup, properties, body } = message
  const messageId = `${name}@${new Date(runAtMs).toISOString()}`
  const system = encodeSystem({
    messageId,
    tag,
    keys,
    messageGroup,
    bornAtMs: Math.floor(nowMs),
    bornHost: host,
    traceContext: '',
    deliverAtMs: runAtMs,
  })
  return {
    type: 'DELAY',
    messageId,
    tag,
    messageGroup,
    keys,
    system,
    properties,
    body,
    deliverAtMs: runAtMs,
  }
}

/** Whether a repeated creation asks for what is there already. */
export const isSameSchedule = (a: ScheduleState, b: ScheduleState): boolean =>
  a.missed === b.missed &&
  isSameRule(a.rule, b.rule) &&
  a.message.tag === b.message.tag &&
  a.message.messageGroup === b.message.messageGroup &&
  a.message.keys.join(' ') === b.message.keys.join(' ') &&
  isSameBytes(a.message.properties, b.message.properties) &&
  isSameBytes(a.message.body, b.message.body)

const isSameRule = (a: ScheduleRule, b: ScheduleRule): boolean =>
  'cron' in a
    ? 'cron' in b && a.cron === b.cron && a.timeZone === b.timeZone
    : 'everyMs' in b && a.everyMs === b.everyMs

const isSameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index])
