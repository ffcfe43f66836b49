import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { groupSettingsOf } from '../../../model/addressing/group.ts'
import { type RetryPolicy, retryDelayMs } from '../../../model/delivery/retry-policy.ts'
import { isBrokerError } from '../../../model/errors.ts'

const SECOND = 1_000

const Retry = suite('retry policies')

Retry('by default take RocketMQ’s eighteen steps, and the last one for ever', () => {
  const { retry } = groupSettingsOf('group')
  const seconds = (attempt: number) => retryDelayMs(retry, attempt) / SECOND
  assert.equal([1, 2, 3, 4, 5].map(seconds), [1, 5, 10, 30, 60])
  assert.is(seconds(18), 7_200)
  assert.is(seconds(100), 7_200)
})

Retry('grow exponentially up to their longest delay', () => {
  const retry: RetryPolicy = { kind: 'exponential', initialMs: 10, maxMs: 100, multiplier: 3 }
  assert.equal(
    [1, 2, 3, 4, 1_000].map((attempt) => retryDelayMs(retry, attempt)),
    [10, 30, 90, 100, 100],
  )
})

Retry('are refused when they say nothing sensible', () => {
  const exponential = { kind: 'exponential', initialMs: 10, maxMs: 100, multiplier: 2 } as const
  const illegal: readonly RetryPolicy[] = [
    { kind: 'customized', stepsMs: [] },
    { kind: 'customized', stepsMs: [-1] },
    { kind: 'customized', stepsMs: [0.5] },
    { kind: 'customized', stepsMs: [13 * 3_600 * SECOND] },
    { kind: 'customized', stepsMs: Array.from({ length: 101 }, () => 1) },
    { ...exponential, initialMs: 200 },
    { ...exponential, multiplier: 0.5 },
    { ...exponential, multiplier: Number.NaN },
    { ...exponential, maxMs: Number.POSITIVE_INFINITY },
  ]
  for (const retry of illegal)
    try {
      groupSettingsOf('group', { retry })
      assert.unreachable(JSON.stringify(retry))
    } catch (error) {
      assert.ok(isBrokerError(error, 'GROUP_SETTINGS_ILLEGAL'), String(error))
    }
})

Retry.run()
