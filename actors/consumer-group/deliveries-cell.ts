import { Deliveries } from '../../machines/consumer-group/deliveries.ts'
import type { DeliveriesAddress } from '../../model/delivery/facts.ts'
import { FactsSpan } from '../system/facts-span.ts'

/** The deliveries of a group on one queue, with where their facts lie. */
export class DeliveriesCell {
  readonly address: DeliveriesAddress
  readonly deliveries = new Deliveries()
  readonly span = new FactsSpan()
  /** The session that renews a client's leases here, by its number. */
  readonly sessionOf: (clientId: string) => number
  /** A reset of the offsets has its place in the log and is not synced: nothing may follow it. */
  isResetting = false
  /** Its owner ended: it counts no more. */
  hasEnded = false

  constructor(address: DeliveriesAddress, sessionOf: (clientId: string) => number) {
    this.address = address
    this.sessionOf = sessionOf
  }
}
