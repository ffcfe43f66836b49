import fc from 'fast-check'
import {
  endTransactionRequest,
  heartbeatRequest,
  notifyClientTerminationRequest,
  recallMessageRequest,
  recallMessageResponse,
} from '../../../../protocols/grpc/wire/clients.ts'
import { statusReply } from '../../../../protocols/grpc/wire/common.ts'
import {
  ackMessageRequest,
  ackMessageResponse,
  changeInvisibleDurationRequest,
  changeInvisibleDurationResponse,
  deadLetterRequest,
  receiveMessageRequest,
  receiveMessageResponse,
} from '../../../../protocols/grpc/wire/deliveries.ts'
import type { Codec } from '../../../../protocols/grpc/wire/fields.ts'
import {
  queryAssignmentRequest,
  queryAssignmentResponse,
  queryRouteRequest,
  queryRouteResponse,
} from '../../../../protocols/grpc/wire/routes.ts'
import { sendMessageResponse } from '../../../../protocols/grpc/wire/send-message.ts'
import { settings, telemetryCommand } from '../../../../protocols/grpc/wire/telemetry.ts'
import { definition, service } from './official.ts'
import {
  aName,
  anInt32,
  anInt64,
  aMs,
  record,
  maybe,
  list,
  aResource,
  anEndpoints,
  aStatus,
  aQueue,
  aFilter,
  aSettings,
  aPublishing,
} from './wire-arbitraries.ts'

interface Official {
  serializeBinary(): Uint8Array
  toObject(): object
}

/** A codec of ours, the official class of the same message, and values of it. */
export interface Pair {
  readonly name: string
  readonly codec: Codec<never>
  readonly official: { deserializeBinary(bytes: Uint8Array): Official }
  readonly values: fc.Arbitrary<unknown>
}

/** Whose fields are which: our names to those of the official objects. */
const pair = <T>(
  name: string,
  codec: Codec<T>,
  official: Pair['official'],
  values: fc.Arbitrary<T>,
): Pair => ({ name, codec: codec as unknown as Codec<never>, official, values })

const aRequest = { group: maybe(aResource), topic: maybe(aResource) }

export const pairs: readonly Pair[] = [
  pair(
    'QueryRouteRequest',
    queryRouteRequest,
    service.QueryRouteRequest,
    record({ topic: maybe(aResource), endpoints: maybe(anEndpoints) }),
  ),
  pair(
    'QueryRouteResponse',
    queryRouteResponse,
    service.QueryRouteResponse,
    record({ status: maybe(aStatus), messageQueues: list(aQueue) }),
  ),
  pair(
    'QueryAssignmentRequest',
    queryAssignmentRequest,
    service.QueryAssignmentRequest,
    record({ ...aRequest, endpoints: maybe(anEndpoints) }),
  ),
  pair(
    'QueryAssignmentResponse',
    queryAssignmentResponse,
    service.QueryAssignmentResponse,
    record({
      status: maybe(aStatus),
      assignments: list(record({ messageQueue: maybe(aQueue) })),
    }),
  ),
  pair(
    'HeartbeatRequest',
    heartbeatRequest,
    service.HeartbeatRequest,
    record({ group: maybe(aResource), clientType: fc.nat(6) }),
  ),
  pair(
    'HeartbeatResponse',
    statusReply,
    service.HeartbeatResponse,
    record({ status: maybe(aStatus) }),
  ),
  pair(
    'NotifyClientTerminationRequest',
    notifyClientTerminationRequest,
    service.NotifyClientTerminationRequest,
    record({ group: maybe(aResource) }),
  ),
  pair(
    'EndTransactionRequest',
    endTransactionRequest,
    service.EndTransactionRequest,
    record({
      topic: maybe(aResource),
      messageId: aName,
      transactionId: aName,
      resolution: fc.nat(2),
    }),
  ),
  pair(
    'RecallMessageRequest',
    recallMessageRequest,
    service.RecallMessageRequest,
    record({ topic: maybe(aResource), recallHandle: aName }),
  ),
  pair(
    'RecallMessageResponse',
    recallMessageResponse,
    service.RecallMessageResponse,
    record({ status: maybe(aStatus), messageId: aName }),
  ),
  pair(
    'SendMessageResponse',
    sendMessageResponse,
    service.SendMessageResponse,
    record({
      status: maybe(aStatus),
      entries: list(
        record({
          status: maybe(aStatus),
          messageId: aName,
          transactionId: aName,
          offset: anInt64,
          recallHandle: aName,
        }),
      ),
    }),
  ),
  pair(
    'ReceiveMessageRequest',
    receiveMessageRequest,
    service.ReceiveMessageRequest,
    record({
      group: maybe(aResource),
      messageQueue: maybe(aQueue),
      filter: maybe(aFilter),
      batchSize: anInt32,
      invisibleMs: maybe(aMs),
      autoRenew: fc.boolean(),
      longPollingMs: maybe(aMs),
      attemptId: maybe(aName),
    }),
  ),
  pair(
    'ReceiveMessageResponse with a status',
    receiveMessageResponse,
    service.ReceiveMessageResponse,
    record({ status: aStatus, deliveryAtMs: fc.constant(undefined) }),
  ),
  pair(
    'ReceiveMessageResponse with a time',
    receiveMessageResponse,
    service.ReceiveMessageResponse,
    record({ status: fc.constant(undefined), deliveryAtMs: aMs }),
  ),
  pair(
    'AckMessageRequest',
    ackMessageRequest,
    service.AckMessageRequest,
    record({
      ...aRequest,
      entries: list(record({ messageId: aName, receiptHandle: aName })),
    }),
  ),
  pair(
    'AckMessageResponse',
    ackMessageResponse,
    service.AckMessageResponse,
    record({
      status: maybe(aStatus),
      entries: list(record({ messageId: aName, receiptHandle: aName, status: maybe(aStatus) })),
    }),
  ),
  pair(
    'ChangeInvisibleDurationRequest',
    changeInvisibleDurationRequest,
    service.ChangeInvisibleDurationRequest,
    record({ ...aRequest, receiptHandle: aName, invisibleMs: maybe(aMs), messageId: aName }),
  ),
  pair(
    'ChangeInvisibleDurationResponse',
    changeInvisibleDurationResponse,
    service.ChangeInvisibleDurationResponse,
    record({ status: maybe(aStatus), receiptHandle: aName }),
  ),
  pair(
    'ForwardMessageToDeadLetterQueueRequest',
    deadLetterRequest,
    service.ForwardMessageToDeadLetterQueueRequest,
    record({
      ...aRequest,
      receiptHandle: aName,
      messageId: aName,
      deliveryAttempt: anInt32,
      maxDeliveryAttempts: anInt32,
    }),
  ),
  pair(
    'TelemetryCommand of a consumer',
    telemetryCommand,
    service.TelemetryCommand,
    record({
      status: maybe(aStatus),
      settings: maybe(aSettings),
      check: fc.constant(undefined),
    }),
  ),
  pair(
    'Settings of a producer',
    settings,
    definition.Settings,
    fc
      .tuple(aSettings, aPublishing)
      .map(([base, publishing]) => ({ ...base, subscription: undefined, publishing })),
  ),
]
