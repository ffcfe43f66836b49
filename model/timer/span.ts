import { BrokerError } from '../errors.ts'

/** A duration: a number of milliseconds, or a text such as `'3 days'` or `'1h 30m'`. */
export type Span = number | string

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const units: readonly (readonly [names: RegExp, ms: number])[] = [
  [/^(ms|milliseconds?)$/, 1],
  [/^(s|secs?|seconds?)$/, SECOND],
  [/^(m|mins?|minutes?)$/, MINUTE],
  [/^(h|hrs?|hours?)$/, HOUR],
  [/^(d|days?)$/, DAY],
  [/^(w|weeks?)$/, 7 * DAY],
]

const PARTS = /(\d+(?:\.\d+)?)\s*([a-z]+)/g
const WHOLE = /^(\s*\d+(?:\.\d+)?\s*[a-z]+)+\s*$/

const unitMs = (name: string): number | undefined => units.find(([names]) => names.test(name))?.[1]

const sumOf = (text: string): number | undefined => {
  const lower = text.toLowerCase()
  if (!WHOLE.test(lower)) return undefined
  let sum = 0
  for (const [, count, unit = ''] of lower.matchAll(PARTS)) {
    const ms = unitMs(unit)
    if (ms === undefined) return undefined
    sum += Number(count) * ms
  }
  return Math.round(sum)
}

/** Milliseconds of a span. Throws `DURATION_ILLEGAL`; negative and infinite ones are. */
export const spanMs = (span: Span): number => {
  const ms = typeof span === 'number' ? span : sumOf(span)
  if (ms === undefined || !Number.isFinite(ms) || ms < 0)
    throw new BrokerError('DURATION_ILLEGAL', { text: String(span) })
  return ms
}
