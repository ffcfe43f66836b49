import { checkGroupName, checkTopicName } from '../../../model/addressing/names.ts'
import type { ReceiptHandle } from '../../../model/delivery/receipt-handle.ts'
import { openHandle } from '../access.ts'
import type { CallContext } from '../context.ts'
import { aggregateOf, OK, statusOf } from '../status.ts'
import { nameOf, type Status } from '../wire/common.ts'
import type {
  AckEntry,
  AckMessageRequest,
  AckMessageResponse,
  AckResult,
} from '../wire/deliveries.ts'

/** All that are genuine in one call to the broker; what is not has its own status. */
const ackEntries = async (
  context: CallContext,
  entries: readonly AckEntry[],
  named: { readonly topic: string; readonly group: string },
): Promise<Status[]> => {
  const { broker, logger } = context.door
  const statuses: Status[] = entries.map(() => OK)
  const opened: { handle: ReceiptHandle; place: number }[] = []
  for (const [place, { receiptHandle }] of entries.entries())
    try {
      opened.push({ handle: openHandle(context, receiptHandle, named), place })
    } catch (error) {
      statuses[place] = statusOf(error, logger, 'AckMessage')
    }
  const refusals = await broker.ackAll(opened.map(({ handle }) => handle))
  for (const [index, { place }] of opened.entries())
    if (refusals[index] !== undefined)
      statuses[place] = statusOf(refusals[index], logger, 'AckMessage')
  return statuses
}

const resultOf = ({ messageId, receiptHandle }: AckEntry, status: Status): AckResult => ({
  messageId,
  receiptHandle,
  status,
})

/**
 * RocketMQ gRPC 4.6. Each entry has its own status; the one above them is what most clients look
 * at. Acking twice is harmless while the delivery lasts.
 */
export const ackMessage = async (
  context: CallContext,
  request: AckMessageRequest,
): Promise<AckMessageResponse> => {
  const topic = checkTopicName(nameOf(request.topic))
  const group = checkGroupName(nameOf(request.group))
  const statuses = await ackEntries(context, request.entries, { topic, group })
  return {
    status: aggregateOf(statuses),
    entries: request.entries.map((entry, index) => resultOf(entry, statuses[index] ?? OK)),
  }
}
