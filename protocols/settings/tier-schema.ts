import { z } from 'zod'
import { amount, whole } from './kinds.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const KIB = 1_024
const MIB = 1_024 * KIB
const GIB = 1_024 * MIB

const price = (what: string, otherwise: number) =>
  amount(`price of ${what}, in any one currency`, { max: 1_000_000, otherwise })

/** Bounds, periods and prices of the tier. Prices are Amazon's of S3 Standard in us-east-1. */
export const tiering = z.strictObject({
  segmentBytes: whole('a queue with so much to offload goes at once', {
    min: MIB,
    max: 256 * MIB,
    otherwise: 48 * MIB,
  }),
  holdMs: whole('a queue with less waits so long for company', {
    min: 0,
    max: DAY,
    otherwise: 10 * MINUTE,
  }),
  tickMs: whole('how often queues are looked at that nothing woke', {
    min: 100,
    max: HOUR,
    otherwise: 5 * SECOND,
  }),
  bufferBytes: whole('memory for segments on their way, of all queues together', {
    min: 4 * MIB,
    max: 64 * GIB,
    otherwise: 128 * MIB,
  }),
  uploadsMax: whole('segments being uploaded at one time', { min: 1, max: 64, otherwise: 2 }),
  requestMs: whole('a request to the store, its tries included, that takes longer has failed', {
    min: SECOND,
    max: DAY,
    otherwise: 5 * MINUTE,
  }),
  cacheBytes: whole('memory for what was read back', {
    min: MIB,
    max: 64 * GIB,
    otherwise: 64 * MIB,
  }),
  readAheadBytes: whole('how far a consumer of old messages is read ahead of', {
    min: 64 * KIB,
    max: GIB,
    otherwise: 4 * MIB,
  }),
  readsMax: whole('reads from the tier at one time', { min: 1, max: 256, otherwise: 8 }),
  backoffMsBase: whole('first pause of a queue whose upload failed', {
    min: 10,
    max: HOUR,
    otherwise: SECOND,
  }),
  backoffMsMax: whole('longest pause of a queue whose upload failed', {
    min: 100,
    max: DAY,
    otherwise: MINUTE,
  }),
  graceMs: whole('what nobody claims stays so long: an upload may be on its way to its claim', {
    min: 10 * MINUTE,
    max: 30 * DAY,
    otherwise: DAY,
  }),
  janitorEveryMs: whole('how often all objects are listed to find what nobody claims', {
    min: MINUTE,
    max: 30 * DAY,
    otherwise: HOUR,
  }),
  budgetPerMonth: amount('offloading pauses while a month would cost more; 0 means no budget', {
    max: 1_000_000_000,
    otherwise: 0,
  }),
  gibPricePerMonth: price('a GiB for a month', 0.023),
  putPricePerThousand: price('1,000 writes', 0.005),
  getPricePerThousand: price('1,000 reads', 0.0004),
  headPricePerThousand: price('1,000 looks at an object', 0.0004),
  listPricePerThousand: price('1,000 listings', 0.005),
  removePricePerThousand: price('1,000 removals', 0),
})

/** What the log keeps although the tier has it. */
export const local = z.strictObject({
  ageMs: whole('messages that the tier has stay in the log for so long', {
    min: 1,
    max: 3_650 * DAY,
    otherwise: 6 * HOUR,
  }),
  bytes: whole('how much of a topic stays in the log although the tier has it; 0: no limit', {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    otherwise: 0,
  }),
})
