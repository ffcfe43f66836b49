import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import { delayLevels, delayOfLevel } from '../../../model/timer/delay-levels.ts'
import { spanMs } from '../../../model/timer/span.ts'
import { holds } from '../../support/property.ts'

const Spans = suite('spans of time')

Spans('are numbers of ms, or texts', () => {
  const meant: readonly (readonly [string | number, number])[] = [
    [1_500, 1_500],
    ['250 ms', 250],
    ['90s', 90_000],
    ['1 second', 1_000],
    ['10 minutes', 600_000],
    ['1h 30m', 5_400_000],
    ['1.5 hours', 5_400_000],
    ['3 days', 3 * 86_400_000],
    ['2 Weeks', 14 * 86_400_000],
    ['0 s', 0],
  ]
  for (const [span, ms] of meant) assert.is(spanMs(span), ms, String(span))
})

Spans('add up', () =>
  holds(
    fc.property(fc.nat(99), fc.nat(99), fc.nat(99), (days, hours, seconds) => {
      const text = `${days}d ${hours} h ${seconds}sec`
      assert.is(spanMs(text), ((days * 24 + hours) * 3_600 + seconds) * 1_000)
    }),
  ),
)

Spans('that mean nothing are refused', () => {
  for (const span of ['', '5', 'days', '3 fortnights', '-1 s', '1 s,', -1, Number.NaN, Infinity])
    try {
      spanMs(span)
      assert.unreachable(`'${span}' was taken`)
    } catch (error) {
      assert.ok(isBrokerError(error, 'DURATION_ILLEGAL'), String(error))
    }
})

Spans('of the eighteen delay levels are the reference’s', () => {
  assert.is(delayLevels.length, 18)
  assert.equal([0, 1, 4, 5, 14, 15, 17, 18, 19, 99].map(delayOfLevel), [
    ...[0, 1_000, 30_000, 60_000, 600_000, 1_200_000],
    ...[3_600_000, 7_200_000, 7_200_000, 7_200_000],
  ])
})

Spans.run()
