import { checkGroupName, checkTopicName } from '../../../model/addressing/names.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { CallContext } from '../context.ts'
import { OK } from '../status.ts'
import { nameOf } from '../wire/common.ts'
import type { QueryAssignmentRequest, QueryAssignmentResponse } from '../wire/routes.ts'
import { routeEndpoints } from './endpoints.ts'
import { queueShownAs } from './query-route.ts'

const ALL_QUEUES = -1

/**
 * RocketMQ gRPC 4.2. Every consumer gets the same answer: there is no rebalance, consumers compete
 * in the receive, which covers all queues whatever id it names.
 *
 * One assignment, "all queues", makes a client run one receive loop. On a FIFO topic a loop hands
 * its messages to the listener one by one, so there each queue gets a loop of its own; order holds
 * all the same, because the broker gives out a message group only when its last message is done.
 */
export const queryAssignment = (
  context: CallContext,
  request: QueryAssignmentRequest,
): QueryAssignmentResponse => {
  const { broker, brokerName } = context.door
  const name = checkTopicName(nameOf(request.topic))
  checkGroupName(nameOf(request.group))
  broker.sessions.touch(context.clientId, 'consumer')
  const topic = broker.topics.find(name)
  if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
  const endpoints = routeEndpoints(context, request.endpoints)
  const queueOf = queueShownAs(topic, request.topic, { name: brokerName, id: 0, endpoints })
  const ids =
    topic.type === 'FIFO' ? Array.from({ length: topic.queues }, (_, id) => id) : [ALL_QUEUES]
  return { status: OK, assignments: ids.map((id) => ({ messageQueue: queueOf(id) })) }
}
