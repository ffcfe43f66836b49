import { BrokerError } from '../../../model/errors.ts'
import type { Status } from '../wire/common.ts'

/** RocketMQ gRPC 4.13. Lite topics are not built. */
export const syncLiteSubscription = (): { status: Status } => {
  throw new BrokerError('NOT_BUILT', { what: 'SyncLiteSubscription' })
}
