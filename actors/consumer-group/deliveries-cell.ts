import { Deliveries } from '../../machines/consumer-group/deliveries.ts'
import type { DeliveriesAddress } from '../../model/delivery/facts.ts'
import { FactsSpan } from '../system/facts-span.ts'

/** The deliveries of a group on one queue, with where their facts lie. */
export class DeliveriesCell {
  readonly address: DeliveriesAddress
  readonly deliveries = new Deliveries()
  readonly span = new FactsSpan()

  constructor(address: DeliveriesAddress) {
    this.address = address
  }
}
