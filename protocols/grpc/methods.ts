import type { Principal } from '../../model/access.ts'
import { BrokerError } from '../../model/errors.ts'
import {
  anyOf,
  asGroup,
  authenticate,
  authorize,
  type Need,
  publishTo,
  subscribeTo,
} from './access.ts'
import type { CallContext } from './context.ts'
import { ackMessage } from './operations/ack-message.ts'
import { changeInvisibleDuration } from './operations/change-invisible-duration.ts'
import { endTransaction } from './operations/end-transaction.ts'
import { forwardMessageToDeadLetterQueue } from './operations/forward-message-to-dead-letter-queue.ts'
import { heartbeat } from './operations/heartbeat.ts'
import { notifyClientTermination } from './operations/notify-client-termination.ts'
import { queryAssignment } from './operations/query-assignment.ts'
import { queryRoute } from './operations/query-route.ts'
import { recallMessage } from './operations/recall-message.ts'
import { type ReceiveReply, receiveMessage, refuseReceive } from './operations/receive-message.ts'
import { sendMessage } from './operations/send-message.ts'
import { syncLiteSubscription } from './operations/sync-lite-subscription.ts'
import { statusOf } from './status.ts'
import {
  endTransactionRequest,
  heartbeatRequest,
  notifyClientTerminationRequest,
  recallMessageRequest,
  recallMessageResponse,
} from './wire/clients.ts'
import { nameOf, type Resource, type Status, statusReply } from './wire/common.ts'
import {
  ackMessageRequest,
  ackMessageResponse,
  changeInvisibleDurationRequest,
  changeInvisibleDurationResponse,
  deadLetterRequest,
  receiveMessageRequest,
} from './wire/deliveries.ts'
import { decoded } from './wire/primitives.ts'
import {
  queryAssignmentRequest,
  queryAssignmentResponse,
  queryRouteRequest,
  queryRouteResponse,
} from './wire/routes.ts'
import { decodeSendMessage, sendMessageResponse } from './wire/send-message.ts'

/** Whether the door has room for one more call; without it the call is refused. */
export type Admission = 'admitted' | 'tooMany'

/** An RPC from bytes to bytes. It never rejects: every outcome is a reply with a status. */
export type Unary = (context: CallContext, bytes: Buffer, admission: Admission) => Promise<Buffer>

interface Method<Request, Response> {
  readonly decode: (bytes: Buffer, context: CallContext) => Request
  /** What an account must be allowed for this request (RocketMQ gRPC 2). */
  readonly needs: (request: Request) => readonly Need[]
  readonly run: (context: CallContext, request: Request) => Response | Promise<Response>
  readonly encode: (response: Response) => Buffer
  /** The reply of a refusal; the request is missing when its bytes were refused. */
  readonly refuse: (status: Status, request?: Request) => Response
}

/** Who calls, which is proven before anything of the request is looked at. */
const checkCall = (context: CallContext): Principal | undefined => {
  const principal = authenticate(context)
  if (context.clientId === '') throw new BrokerError('CLIENT_ID_REQUIRED', {})
  return principal
}

const checkAdmission = (admission: Admission): void => {
  if (admission === 'tooMany') throw new BrokerError('THROTTLED', { reason: 'too many calls' })
}

const consuming = (of: {
  readonly group: Resource | undefined
  readonly topic: Resource | undefined
}): readonly Need[] => [asGroup(nameOf(of.group)), subscribeTo(nameOf(of.topic))]

/** Producers have no group, or an empty one. */
const ofGroup = (group: Resource | undefined): readonly Need[] =>
  nameOf(group) === '' ? [] : [asGroup(nameOf(group))]

const unary =
  <Request, Response>(name: string, method: Method<Request, Response>): Unary =>
  async (context, bytes, admission) => {
    let request: Request | undefined
    try {
      const principal = checkCall(context)
      request = decoded((raw) => method.decode(raw, context), bytes)
      checkAdmission(admission)
      authorize(context, principal, method.needs(request))
      return method.encode(await method.run(context, request))
    } catch (error) {
      return method.encode(method.refuse(statusOf(error, context.door.logger, name), request))
    }
  }

const statusOnly = { encode: statusReply.encode, refuse: (status: Status) => ({ status }) }

/** The unary RPCs by name. What is missing here is answered UNIMPLEMENTED (RocketMQ gRPC 4.12). */
export const unaryMethods: Readonly<Record<string, Unary>> = {
  QueryRoute: unary('QueryRoute', {
    needs: ({ topic }) => [anyOf(nameOf(topic))],
    decode: queryRouteRequest.decode,
    run: queryRoute,
    encode: queryRouteResponse.encode,
    refuse: (status) => ({ status, messageQueues: [] }),
  }),
  QueryAssignment: unary('QueryAssignment', {
    needs: consuming,
    decode: queryAssignmentRequest.decode,
    run: queryAssignment,
    encode: queryAssignmentResponse.encode,
    refuse: (status) => ({ status, assignments: [] }),
  }),
  Heartbeat: unary('Heartbeat', {
    needs: ({ group }) => ofGroup(group),
    decode: heartbeatRequest.decode,
    run: heartbeat,
    ...statusOnly,
  }),
  NotifyClientTermination: unary('NotifyClientTermination', {
    needs: ({ group }) => ofGroup(group),
    decode: notifyClientTerminationRequest.decode,
    run: notifyClientTermination,
    ...statusOnly,
  }),
  SendMessage: unary('SendMessage', {
    needs: ({ topic }) => [publishTo(topic)],
    decode: (bytes, { door: { clock, deliverAheadMsMax } }) =>
      decodeSendMessage(bytes, { nowMs: clock.wallMs(), aheadMsMax: deliverAheadMsMax }),
    run: sendMessage,
    encode: sendMessageResponse.encode,
    refuse: (status) => ({ status, entries: [] }),
  }),
  AckMessage: unary('AckMessage', {
    needs: consuming,
    decode: ackMessageRequest.decode,
    run: ackMessage,
    encode: ackMessageResponse.encode,
    refuse: (status) => ({ status, entries: [] }),
  }),
  ChangeInvisibleDuration: unary('ChangeInvisibleDuration', {
    needs: ({ group }) => [asGroup(nameOf(group))],
    decode: changeInvisibleDurationRequest.decode,
    run: changeInvisibleDuration,
    encode: changeInvisibleDurationResponse.encode,
    refuse: (status, request) => ({ status, receiptHandle: request?.receiptHandle ?? '' }),
  }),
  ForwardMessageToDeadLetterQueue: unary('ForwardMessageToDeadLetterQueue', {
    needs: consuming,
    decode: deadLetterRequest.decode,
    run: forwardMessageToDeadLetterQueue,
    ...statusOnly,
  }),
  EndTransaction: unary('EndTransaction', {
    needs: ({ topic }) => [publishTo(nameOf(topic))],
    decode: endTransactionRequest.decode,
    run: endTransaction,
    ...statusOnly,
  }),
  RecallMessage: unary('RecallMessage', {
    needs: ({ topic }) => [publishTo(nameOf(topic))],
    decode: recallMessageRequest.decode,
    run: recallMessage,
    encode: recallMessageResponse.encode,
    refuse: (status) => ({ status, messageId: '' }),
  }),
  SyncLiteSubscription: unary('SyncLiteSubscription', {
    needs: () => [],
    decode: () => undefined,
    run: syncLiteSubscription,
    ...statusOnly,
  }),
}

/** ReceiveMessage from bytes to the frames of its stream. It never rejects either. */
export const serveReceive = async (
  context: CallContext,
  bytes: Buffer,
  admission: Admission,
): Promise<ReceiveReply> => {
  try {
    const principal = checkCall(context)
    const request = decoded(receiveMessageRequest.decode, bytes)
    if (admission === 'tooMany') throw new BrokerError('THROTTLED', { reason: 'polling full' })
    authorize(context, principal, consuming({ ...request, topic: request.messageQueue?.topic }))
    return await receiveMessage(context, request)
  } catch (error) {
    return refuseReceive(context, statusOf(error, context.door.logger, 'ReceiveMessage'))
  }
}
