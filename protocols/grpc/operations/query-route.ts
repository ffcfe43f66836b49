import { checkTopicName } from '../../../model/addressing/names.ts'
import type { TopicType } from '../../../model/addressing/topic.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { TopicSummary } from '../../../model/ports.ts'
import type { CallContext } from '../context.ts'
import { OK } from '../status.ts'
import { messageTypeNumbers, nameOf, type Resource } from '../wire/common.ts'
import {
  type MessageQueue,
  permissions,
  type QueryRouteRequest,
  type QueryRouteResponse,
  type RouteBroker,
} from '../wire/routes.ts'
import { routeEndpoints } from './endpoints.ts'

const { NORMAL, FIFO, DELAY, TRANSACTION } = messageTypeNumbers

const acceptedTypes: Readonly<Record<TopicType, readonly number[]>> = {
  NORMAL: [NORMAL],
  FIFO: [FIFO],
  DELAY: [DELAY],
  TRANSACTION: [TRANSACTION],
  MIXED: [NORMAL, FIFO, DELAY, TRANSACTION],
}

/** How one queue of a topic is shown; without an id, all of them together are id -1. */
export const queueShownAs = (
  topic: TopicSummary,
  resource: Resource | undefined,
  broker: RouteBroker,
): ((id: number) => MessageQueue) => {
  const acceptMessageTypes = acceptedTypes[topic.type]
  const shown: Resource = { namespace: resource?.namespace ?? '', name: topic.name }
  const permission = permissions.readWrite
  return (id) => ({ topic: shown, id, permission, broker, acceptMessageTypes })
}

/**
 * RocketMQ gRPC 4.1. Queue ids count from 0 and the broker's id is 0: the Node client looks for
 * the former and the others for the latter. Nothing in the answer changes by itself, since clients
 * compare routes by value.
 */
export const queryRoute = async (
  context: CallContext,
  request: QueryRouteRequest,
): Promise<QueryRouteResponse> => {
  const { broker, brokerName } = context.door
  const name = checkTopicName(nameOf(request.topic))
  const topic = await broker.topics.resolve(name)
  if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
  const endpoints = routeEndpoints(context, request.endpoints)
  const queueOf = queueShownAs(topic, request.topic, { name: brokerName, id: 0, endpoints })
  return { status: OK, messageQueues: Array.from({ length: topic.queues }, (_, id) => queueOf(id)) }
}
