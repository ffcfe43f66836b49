const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/**
 * RocketMQ's eighteen delay levels, level 1 first, in ms: delays of messages that name a level,
 * and the steps between deliveries of a message that a listener refuses.
 */
export const delayLevels: readonly number[] = [
  ...[1, 5, 10, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2].map((hours) => hours * HOUR),
]

/** The delay of a level, in ms. Level 0 is none, and a level above 18 counts as 18. */
export const delayOfLevel = (level: number): number =>
  delayLevels[Math.min(level, delayLevels.length) - 1] ?? 0
