import { InvalidArgumentError } from 'commander'

const msOf: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const bytesOf: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

const readerOf =
  (units: Readonly<Record<string, number>>, example: string) =>
  (text: string): number => {
    const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim()) ?? []
    const size = units[unit]
    if (text.trim() === '0') return 0
    if (size === undefined)
      throw new InvalidArgumentError(
        `Give a number with ${Object.keys(units).join(', ')}: ${example}.`,
      )
    return Math.round(Number(amount) * size)
  }

/** `90s` in ms. */
export const duration = readerOf(msOf, '90s')
/** `10GiB` in bytes. */
export const size = readerOf(bytesOf, '10GiB')

export const count = (text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('Give a whole number.')
  return value
}

/** A moment of the wall clock in ms. */
export const moment = (text: string): number => {
  const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (!Number.isSafeInteger(ms))
    throw new InvalidArgumentError('Give a time such as 2026-12-24T18:00:00Z.')
  return ms
}

/** For an option that may be repeated. */
export const collect = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  text,
]

/** The largest unit that leaves at least one of it: `1.5 h`. */
const shown = (value: number, units: Readonly<Record<string, number>>): string => {
  const [name, each] = Object.entries(units).findLast(([, least]) => value >= least) ?? ['', 1]
  if (name === '') return String(value)
  return `${Number((value / each).toFixed(1)).toLocaleString('en-US')} ${name}`
}

export const durationText = (ms: number): string => shown(ms, msOf)
export const sizeText = (bytes: number): string => (bytes === 0 ? '0 B' : shown(bytes, bytesOf))
export const timeText = (wallMs: number): string => new Date(wallMs).toISOString()
