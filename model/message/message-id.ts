import type { Clock, Random } from '../ports.ts'

const EPOCH_2021_MS = 1_609_459_200_000

const hex = (value: number, digits: number): string =>
  value.toString(16).toUpperCase().padStart(digits, '0')

/** The last two digits, so that most ids are made by joining two strings. */
const lastDigits = Array.from({ length: 256 }, (_, value) => hex(value, 2))

const LAYOUT = /^01[0-9A-F]{32}$/

/** When an id of RocketMQ 5 says that it was made: wall ms of a second; undefined of others. */
export const madeAtMs = (messageId: string): number | undefined =>
  LAYOUT.test(messageId)
    ? EPOCH_2021_MS + Number.parseInt(messageId.slice(18, 26), 16) * 1000
    : undefined

/**
 * RocketMQ 5 message ids: `01`, six bytes of a machine, two of a process, four of seconds
 * since 2021, four of a counter; 34 upper-case hex digits. Machine and process are drawn at
 * random, so that ids say nothing about the host.
 */
export const createMessageIds = (clock: Clock, random: Random): (() => string) => {
  const origin = `01${Buffer.from(random.bytes(8)).toString('hex').toUpperCase()}`
  let counter = 0
  let second = -1
  let prefix = origin
  return () => {
    const now = Math.floor((clock.wallMs() - EPOCH_2021_MS) / 1000) >>> 0
    counter = (counter + 1) >>> 0
    const last = counter & 0xff
    if (now !== second || last === 0) {
      second = now
      prefix = origin + hex(now, 8) + hex(counter >>> 8, 6)
    }
    return prefix + lastDigits[last]
  }
}
