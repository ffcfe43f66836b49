import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import { checkRule, nextRunMs } from '../../../machines/schedules/next-run.ts'
import { holds } from '../../support/property.ts'

const NextRun = suite('the next run of a schedule')

const runsOf = (cron: string, timeZone: string, from: string, count: number): string[] => {
  const runs: string[] = []
  let atMs = Date.parse(from)
  for (let run = 0; run < count; run++) {
    atMs = nextRunMs({ cron, timeZone }, atMs) ?? Number.NaN
    runs.push(new Date(atMs).toISOString().slice(0, 16))
  }
  return runs
}

NextRun('of an interval is the first point of its grid after the moment', () =>
  holds(
    fc.property(
      fc.integer({ min: 1_000, max: 10_000 }),
      fc.nat(100_000),
      fc.nat(200_000),
      (everyMs, fromMs, afterMs) => {
        const runMs = nextRunMs({ everyMs, fromMs }, afterMs) ?? 0
        assert.ok(runMs > afterMs || (runMs === fromMs && afterMs < fromMs))
        assert.is((runMs - fromMs) % everyMs, 0)
        assert.ok(runMs === fromMs || runMs - everyMs <= afterMs)
      },
    ),
    { runs: 500 },
  ),
)

NextRun('of a pattern is after the moment, never at it', () => {
  assert.equal(runsOf('0 2 * * *', 'UTC', '2026-01-01T01:59:59.999Z', 2), [
    '2026-01-01T02:00',
    '2026-01-02T02:00',
  ])
  assert.equal(runsOf('0 2 * * *', 'UTC', '2026-01-01T02:00:00.000Z', 1), ['2026-01-02T02:00'])
  assert.equal(runsOf('0 2 * * *', 'UTC', '2026-01-01T02:00:00.001Z', 1), ['2026-01-02T02:00'])
})

NextRun('of a pattern follows its time zone through both changes of clocks', () => {
  assert.equal(runsOf('30 2 * * *', 'Europe/Berlin', '2026-03-28T00:00:00Z', 3), [
    '2026-03-28T01:30',
    // 02:30 does not exist on this day: it is 03:30 there.
    '2026-03-29T01:30',
    '2026-03-30T00:30',
  ])
  assert.equal(runsOf('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2), [
    // 02:30 comes twice on this day: the first counts.
    '2026-10-25T00:30',
    '2026-10-26T01:30',
  ])
})

NextRun('of rising moments rises, whatever the pattern', () => {
  const patterns = ['* * * * *', '*/5 * * * * *', '0 0 29 2 *', '0 9 * * 1-5', '15,45 */3 * * *']
  return holds(
    fc.property(
      fc.constantFrom(...patterns),
      fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu'),
      fc.integer({ min: 0, max: 2 ** 41 }),
      (cron, timeZone, afterMs) => {
        const runMs = nextRunMs({ cron, timeZone }, afterMs) ?? 0
        assert.ok(runMs > afterMs)
        assert.ok((nextRunMs({ cron, timeZone }, runMs) ?? 0) > runMs)
        const between = afterMs + Math.floor((runMs - afterMs) / 2)
        assert.is(nextRunMs({ cron, timeZone }, between), runMs)
      },
    ),
  )
})

NextRun('that there never is, or that means nothing, is refused with its reason', () => {
  const refusal = (cron: string, timeZone = 'UTC'): string => {
    try {
      checkRule('nightly', { cron, timeZone }, 0)
      return 'accepted'
    } catch (error) {
      return isBrokerError(error, 'SCHEDULE_ILLEGAL') ? error.message : String(error)
    }
  }
  assert.is(refusal('0 2 * * *'), 'accepted')
  assert.match(refusal('nonsense'), /'nightly' is illegal: .*five, six, or seven/)
  assert.match(refusal('61 * * * *'), /is illegal/)
  assert.match(refusal('* * * * *', 'Mars/One'), /Invalid time ?zone/i)
  assert.match(refusal('0 0 30 2 *'), /it would never run/)
})

NextRun.run()
