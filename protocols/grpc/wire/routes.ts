import {
  type Endpoints,
  endpoints,
  type Resource,
  resource,
  type Status,
  status,
} from './common.ts'
import {
  integerField,
  integersField,
  listField,
  message,
  messageField,
  textField,
  type ValueOf,
} from './fields.ts'

// message Broker { string name = 1; int32 id = 2; Endpoints endpoints = 3; }
const broker = message<{ name: string; id: number; endpoints: Endpoints | undefined }>({
  name: textField(1),
  id: integerField(2),
  endpoints: messageField(3, endpoints),
})
export type RouteBroker = ValueOf<typeof broker>

export const permissions = { none: 1, read: 2, write: 3, readWrite: 4 } as const

// message MessageQueue { Resource topic = 1; int32 id = 2; Permission permission = 3;
//   Broker broker = 4; repeated MessageType accept_message_types = 5; }
export const messageQueue = message<{
  topic: Resource | undefined
  id: number
  permission: number
  broker: RouteBroker | undefined
  acceptMessageTypes: readonly number[]
}>({
  topic: messageField(1, resource),
  id: integerField(2),
  permission: integerField(3),
  broker: messageField(4, broker),
  acceptMessageTypes: integersField(5),
})
export type MessageQueue = ValueOf<typeof messageQueue>

// message QueryRouteRequest { Resource topic = 1; Endpoints endpoints = 2; }
export const queryRouteRequest = message<{
  topic: Resource | undefined
  endpoints: Endpoints | undefined
}>({
  topic: messageField(1, resource),
  endpoints: messageField(2, endpoints),
})
export type QueryRouteRequest = ValueOf<typeof queryRouteRequest>

// message QueryRouteResponse { Status status = 1; repeated MessageQueue message_queues = 2; }
export const queryRouteResponse = message<{
  status: Status | undefined
  messageQueues: readonly MessageQueue[]
}>({
  status: messageField(1, status),
  messageQueues: listField(2, messageQueue),
})
export type QueryRouteResponse = ValueOf<typeof queryRouteResponse>

// message QueryAssignmentRequest { Resource topic = 1; Resource group = 2; Endpoints endpoints = 3;
// }
export const queryAssignmentRequest = message<{
  topic: Resource | undefined
  group: Resource | undefined
  endpoints: Endpoints | undefined
}>({
  topic: messageField(1, resource),
  group: messageField(2, resource),
  endpoints: messageField(3, endpoints),
})
export type QueryAssignmentRequest = ValueOf<typeof queryAssignmentRequest>

// message Assignment { MessageQueue message_queue = 1; }
const assignment = message<{ messageQueue: MessageQueue | undefined }>({
  messageQueue: messageField(1, messageQueue),
})

// message QueryAssignmentResponse { Status status = 1; repeated Assignment assignments = 2; }
export const queryAssignmentResponse = message<{
  status: Status | undefined
  assignments: readonly ValueOf<typeof assignment>[]
}>({
  status: messageField(1, status),
  assignments: listField(2, assignment),
})
export type QueryAssignmentResponse = ValueOf<typeof queryAssignmentResponse>
