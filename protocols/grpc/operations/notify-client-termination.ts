import type { CallContext } from '../context.ts'
import { OK } from '../status.ts'
import type { Status } from '../wire/common.ts'

/**
 * RocketMQ gRPC 4.10, leniently: a client that says goodbye is never told that it was unknown.
 * The group is not looked at; Go sends one for producers too, even an empty one.
 */
export const notifyClientTermination = (context: CallContext): { status: Status } => {
  const { broker, clients } = context.door
  clients.forget(context.clientId)
  broker.sessions.terminate(context.clientId)
  return { status: OK }
}
