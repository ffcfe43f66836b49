import type { StoredMessage } from '../../model/message/message.ts'
import { decodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import type { MessageView } from '../../model/message/trace.ts'

/** A stored message with its blocks decoded. The body shares memory with the log. */
export const viewOf = (message: StoredMessage): MessageView => ({
  ...decodeSystem(message.system),
  topic: message.topic,
  queueId: message.queueId,
  queueOffset: message.queueOffset,
  storeAtMs: message.storeAtMs,
  properties: decodeProperties(message.properties),
  body: message.body,
})
