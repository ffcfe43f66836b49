import { deliveryLimits } from '../delivery/limits.ts'
import {
  faultOfRetryPolicy,
  type RetryPolicy,
  retryPolicyDefault,
} from '../delivery/retry-policy.ts'
import { BrokerError } from '../errors.ts'
import { checkGroupName } from './names.ts'

/** Where a group begins on a topic that it never read. */
export const startPositions = ['earliest', 'latest'] as const
export type StartPosition = (typeof startPositions)[number]

export interface GroupSettings {
  /** Deliveries of one message before it is dead-lettered, the first included. */
  readonly attemptsMax: number
  /** `latest`: what was stored before the group's first receive from a topic is not delivered. */
  readonly startFrom: StartPosition
  /** Its receives wait and answer with nothing; acknowledgements go on. */
  readonly paused: boolean
  /** How long a refused message stays away. Clients are told, and `nack` uses it. */
  readonly retry: RetryPolicy
}

export type GroupOptions = Partial<GroupSettings>

const ATTEMPTS_MAX = 1_000

export const groupDefaults: GroupSettings = {
  attemptsMax: deliveryLimits.attemptsMaxDefault,
  startFrom: 'earliest',
  paused: false,
  retry: retryPolicyDefault,
}

export const groupSettingsOf = (name: string, options: GroupOptions = {}): GroupSettings => {
  checkGroupName(name)
  const {
    attemptsMax = groupDefaults.attemptsMax,
    startFrom = groupDefaults.startFrom,
    paused = groupDefaults.paused,
    retry = groupDefaults.retry,
  } = options
  const refuse = (reason: string) => new BrokerError('GROUP_SETTINGS_ILLEGAL', { name, reason })
  if (!Number.isInteger(attemptsMax) || attemptsMax < 1 || attemptsMax > ATTEMPTS_MAX)
    throw refuse(`attemptsMax ${attemptsMax} is not 1 to ${ATTEMPTS_MAX}`)
  if (!startPositions.includes(startFrom))
    throw refuse(`startFrom '${startFrom}' is not one of ${startPositions.join(', ')}`)
  const fault = faultOfRetryPolicy(retry)
  if (fault !== undefined) throw refuse(fault)
  return { attemptsMax, startFrom, paused, retry }
}
