import type { Filter } from '../../../model/delivery/filter.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { Door } from '../context.ts'
import { type FilterExpression, filterTypes } from '../wire/common.ts'
import type { Settings } from '../wire/telemetry.ts'

/** What a client wants of a topic; everything when it does not say (RocketMQ gRPC 4.5). */
export const filterOf = ({ filters }: Door, asked: FilterExpression | undefined): Filter => {
  const { type, expression } = asked ?? { type: filterTypes.tag, expression: '' }
  switch (type) {
    case filterTypes.unspecified:
    case filterTypes.tag:
      return filters.byTags(expression)
    case filterTypes.sql:
      return filters.bySql(expression)
    default:
      throw new BrokerError('FILTER_ILLEGAL', { reason: `its type ${type} is unknown` })
  }
}

/** Refuses a subscription whose filter no receive could use, before it starts to consume. */
export const checkFilters = (door: Door, { subscription }: Settings): void => {
  for (const { expression } of subscription?.subscriptions ?? []) filterOf(door, expression)
}
