import { BrokerError } from '../errors.ts'
import { deliveryLimits } from '../delivery/limits.ts'
import { checkGroupName } from './names.ts'

export interface GroupSettings {
  /** Deliveries of one message before it is dead-lettered, the first included. */
  readonly attemptsMax: number
}

export type GroupOptions = Partial<GroupSettings>

const ATTEMPTS_MAX = 1_000

export const groupSettingsOf = (name: string, options: GroupOptions = {}): GroupSettings => {
  checkGroupName(name)
  const { attemptsMax = deliveryLimits.attemptsMaxDefault } = options
  if (!Number.isInteger(attemptsMax) || attemptsMax < 1 || attemptsMax > ATTEMPTS_MAX)
    throw new BrokerError('GROUP_SETTINGS_ILLEGAL', {
      name,
      reason: `attemptsMax ${attemptsMax} is not 1 to ${ATTEMPTS_MAX}`,
    })
  return { attemptsMax }
}
