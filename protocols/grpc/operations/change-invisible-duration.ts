import { checkGroupName, checkTopicName } from '../../../model/addressing/names.ts'
import { checkInvisibleMs } from '../../../model/delivery/limits.ts'
import { openHandle } from '../access.ts'
import type { CallContext } from '../context.ts'
import { OK } from '../status.ts'
import { nameOf } from '../wire/common.ts'
import type {
  ChangeInvisibleDurationRequest,
  ChangeInvisibleDurationResponse,
} from '../wire/deliveries.ts'

/**
 * RocketMQ gRPC 4.7. Zero is legal: it is how Node says no. The answer holds the handle that
 * counts from now on; a refusal repeats the old one, since clients overwrite theirs with whatever
 * comes.
 */
export const changeInvisibleDuration = async (
  context: CallContext,
  request: ChangeInvisibleDurationRequest,
): Promise<ChangeInvisibleDurationResponse> => {
  const { broker } = context.door
  const { receiptHandle, invisibleMs = 0 } = request
  const topic = checkTopicName(nameOf(request.topic))
  const group = checkGroupName(nameOf(request.group))
  checkInvisibleMs(invisibleMs, 0)
  const opened = openHandle(context, receiptHandle, { topic, group })
  const handle = await broker.extend(opened, invisibleMs)
  return { status: OK, receiptHandle: broker.sealHandle(handle) }
}
