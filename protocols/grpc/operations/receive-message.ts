import { checkGroupName, checkTopicName } from '../../../model/addressing/names.ts'
import { checkInvisibleMs, deliveryLimits } from '../../../model/delivery/limits.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { Delivery, ReceiveRequest } from '../../../model/ports.ts'
import type { CallContext } from '../context.ts'
import { codes, OK, statusOf } from '../status.ts'
import { nameOf, type Status } from '../wire/common.ts'
import { deliveryHeads, encodeDelivery } from '../wire/delivered-message.ts'
import { type ReceiveMessageRequest, receiveMessageResponse } from '../wire/deliveries.ts'
import { filterOf } from './filters.ts'

/** What a receive answers, in this order; and how to take it back when it could not be sent. */
export interface ReceiveReply {
  readonly frames: readonly Buffer[]
  /** Makes the messages visible again at once. Harmless when repeated. */
  readonly giveBack: () => void
}

/** Kept back from the client's deadline for the way of the answer. */
const RESERVE_MS = 300
const REQUEST_TIMEOUT_MS_DEFAULT = 3_000

/**
 * How long to wait for a first message (RocketMQ gRPC 4.5): what the client asks for, else what
 * its deadline allows, within 5 to 20 s, and never so long that the answer meets a dead call,
 * whose messages nobody would see before their leases end.
 */
export const pollMsOf = (about: {
  readonly askedMs: number | undefined
  readonly remainingMs: number
  readonly requestTimeoutMs: number
}): number => {
  const { remainingMs } = about
  const { pollMsMin, pollMsMax } = deliveryLimits
  const askedMs = about.askedMs ?? remainingMs - about.requestTimeoutMs / 2
  const pollMs = Math.min(pollMsMax, Math.max(pollMsMin, askedMs))
  if (pollMs > remainingMs && remainingMs < pollMsMin)
    throw new BrokerError('POLLING_TIME_ILLEGAL', { remainingMs: Math.floor(remainingMs) })
  return Math.min(pollMs, remainingMs - RESERVE_MS)
}

const invisibleMsOf = ({ autoRenew, invisibleMs = 0 }: ReceiveMessageRequest): number => {
  if (autoRenew) return deliveryLimits.autoRenewInvisibleMs
  checkInvisibleMs(invisibleMs, deliveryLimits.receiveInvisibleMsMin)
  return invisibleMs
}

/** The broker's request. The queue's id is ignored: each receive covers all queues. */
const requestOf = (context: CallContext, asked: ReceiveMessageRequest): ReceiveRequest => {
  const { door, clientId, remainingMs, signal } = context
  const known = door.clients.find(clientId)
  const waitMs = pollMsOf({
    askedMs: asked.longPollingMs,
    remainingMs,
    requestTimeoutMs: known?.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
  })
  return {
    group: checkGroupName(nameOf(asked.group)),
    topic: checkTopicName(nameOf(asked.messageQueue?.topic)),
    filter: filterOf(door, asked.filter),
    batchMax: Math.min(deliveryLimits.batchMax, Math.max(1, asked.batchSize)),
    invisibleMs: invisibleMsOf(asked),
    waitMs,
    clientId,
    autoRenew: asked.autoRenew,
    signal,
    ...(asked.attemptId ? { attemptId: asked.attemptId } : {}),
  }
}

const frameOf = (status: Status): Buffer =>
  receiveMessageResponse.encode({ status, deliveryAtMs: undefined })

const okFrame = frameOf(OK)
const emptyFrame = (message: string) => frameOf({ code: codes.MESSAGE_NOT_FOUND, message })
const noNewMessage = emptyFrame('no new message')
const noMatchMessage = emptyFrame('no match message')

const timestampFrame = ({ door }: CallContext): Buffer =>
  receiveMessageResponse.encode({ status: undefined, deliveryAtMs: door.clock.wallMs() })

const nothing = (): void => undefined

/** An answer without messages: one status, then the time. */
const withoutMessages = (context: CallContext, status: Buffer): ReceiveReply => ({
  frames: [status, timestampFrame(context)],
  giveBack: nothing,
})

export const refuseReceive = (context: CallContext, status: Status): ReceiveReply =>
  withoutMessages(context, frameOf(status))

const returner = (context: CallContext, deliveries: readonly Delivery[]) => {
  const { broker, logger } = context.door
  let isDone = false
  return (): void => {
    if (isDone) return
    isDone = true
    for (const { handle } of deliveries)
      broker.extend(handle, 0).catch((error: unknown) => {
        // The lease ends by itself; the message comes late, not never.
        const { message } = statusOf(error, logger, 'ReceiveMessage')
        logger.warn(
          { clientId: context.clientId, reason: message },
          'a delivery was not given back',
        )
      })
  }
}

const replyWith = (
  context: CallContext,
  request: ReceiveRequest,
  deliveries: readonly Delivery[],
): ReceiveReply => {
  const { broker, storeHost } = context.door
  const { topic, invisibleMs } = request
  const heads = deliveryHeads({ topic, invisibleMs, storeHost })
  const frames: Buffer[] = [okFrame]
  for (const delivery of deliveries)
    frames.push(encodeDelivery(delivery, broker.sealHandle(delivery.handle), heads))
  frames.push(timestampFrame(context))
  return { frames, giveBack: returner(context, deliveries) }
}

/**
 * RocketMQ gRPC 4.5. Status first, always; then the messages, then the time. Messages that
 * arrive for a call which ended meanwhile go back at once.
 */
export const receiveMessage = async (
  context: CallContext,
  asked: ReceiveMessageRequest,
): Promise<ReceiveReply> => {
  const { broker } = context.door
  const request = requestOf(context, asked)
  broker.sessions.touch(context.clientId, 'consumer')
  const { deliveries, filteredOut } = await broker.receive(request)
  if (context.signal.aborted) {
    returner(context, deliveries)()
    return withoutMessages(context, noNewMessage)
  }
  if (deliveries.length === 0)
    return withoutMessages(context, filteredOut ? noMatchMessage : noNewMessage)
  return replyWith(context, request, deliveries)
}
