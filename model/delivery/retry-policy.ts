import { delayLevels } from '../timer/delay-levels.ts'
import { deliveryLimits } from './limits.ts'

/** How long a message that was refused stays away, by the attempt that was refused. */
export type RetryPolicy =
  /** One duration in ms for each attempt; the last one for all further attempts. */
  | { readonly kind: 'customized'; readonly stepsMs: readonly number[] }
  | {
      readonly kind: 'exponential'
      readonly initialMs: number
      readonly maxMs: number
      /** Kept to a thousandth. */
      readonly multiplier: number
    }

/** RocketMQ's eighteen steps (`CustomizedRetryPolicy`). */
export const retryPolicyDefault: RetryPolicy = { kind: 'customized', stepsMs: delayLevels }

const STEPS_MAX = 100
const MULTIPLIER_MAX = 1_000

/** What the policy says about `attempt`, the first being 1. In ms. */
export const retryDelayMs = (policy: RetryPolicy, attempt: number): number => {
  const step = Math.max(1, attempt) - 1
  if (policy.kind === 'customized')
    return policy.stepsMs[Math.min(step, policy.stepsMs.length - 1)] ?? 0
  return Math.min(policy.maxMs, Math.round(policy.initialMs * policy.multiplier ** step))
}

const isDuration = (ms: number): boolean =>
  Number.isInteger(ms) && ms >= 0 && ms <= deliveryLimits.invisibleMsMax

/** What is wrong with a policy; undefined when nothing is. */
export const faultOfRetryPolicy = (policy: RetryPolicy): string | undefined => {
  if (policy.kind === 'customized') {
    const { length } = policy.stepsMs
    if (length < 1 || length > STEPS_MAX) return `${length} retry steps are not 1 to ${STEPS_MAX}`
    const wrong = policy.stepsMs.find((ms) => !isDuration(ms))
    return wrong === undefined ? undefined : `retry step ${wrong} ms is not 0 to 12 h`
  }
  const { initialMs, maxMs, multiplier } = policy
  if (!isDuration(initialMs) || !isDuration(maxMs) || initialMs > maxMs)
    return `retry delays ${initialMs} to ${maxMs} ms are not within 0 to 12 h, or not in order`
  return multiplier >= 1 && multiplier <= MULTIPLIER_MAX
    ? undefined
    : `retry multiplier ${multiplier} is not 1 to ${MULTIPLIER_MAX}`
}
