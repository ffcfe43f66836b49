import { BrokerError } from '../../model/errors.ts'
import type { Tiering } from '../../model/tier/tier-admin.ts'

const refuse = (): never => {
  throw new BrokerError('TIER_OFF', {})
}

/** What a broker without a tier says. */
export const tierOff: Tiering = {
  status: () => undefined,
  offload: refuse,
  verify: refuse,
  fetch: refuse,
  residue: async () => refuse(),
}
