import { checkGroupName } from '../../../model/addressing/names.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { SessionRole } from '../../../model/ports.ts'
import type { CallContext } from '../context.ts'
import { OK } from '../status.ts'
import { clientTypes, nameOf, type Status } from '../wire/common.ts'
import type { HeartbeatRequest } from '../wire/clients.ts'

const notBuilt = (what: string) => new BrokerError('NOT_BUILT', { what })

/**
 * Which side a client type is on. A client that does not say is judged by whether it has a group.
 */
export const roleOf = (clientType: number, group: string): SessionRole => {
  switch (clientType) {
    case clientTypes.producer:
      return 'producer'
    case clientTypes.pushConsumer:
    case clientTypes.simpleConsumer:
      return 'consumer'
    case clientTypes.pullConsumer:
      throw notBuilt('a pull consumer')
    case clientTypes.litePushConsumer:
    case clientTypes.liteSimpleConsumer:
      throw notBuilt('a lite consumer')
    default:
      return group === '' ? 'producer' : 'consumer'
  }
}

/**
 * RocketMQ gRPC 4.3, leniently: after a restart of the broker some clients send heartbeats for
 * minutes before their settings, so it is answered from its own fields (RocketMQ gRPC 5).
 */
export const heartbeat = (context: CallContext, request: HeartbeatRequest): { status: Status } => {
  const group = nameOf(request.group)
  const role = roleOf(request.clientType, group)
  if (role === 'consumer') checkGroupName(group)
  context.door.broker.sessions.touch(context.clientId, role)
  return { status: OK }
}
