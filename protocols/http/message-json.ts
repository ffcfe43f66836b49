import { isUtf8 } from 'node:buffer'
import { z } from '@hono/zod-openapi'
import { decodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import type { MessageView } from '../../model/message/trace.ts'
import type { Delivery } from '../../model/ports.ts'

/** A stored message in JSON. */
export const messageFields = {
  topic: z.string(),
  queueId: z.number(),
  queueOffset: z.number(),
  messageId: z.string(),
  tag: z.string().optional(),
  keys: z.array(z.string()).optional(),
  messageGroup: z.string().optional(),
  properties: z.record(z.string(), z.string()),
  storeAtMs: z.number().openapi({ description: 'When the broker took it, wall clock.' }),
  bornAtMs: z.number(),
  bornHost: z.string(),
  body: z.string().optional().openapi({ description: 'As text, when it is UTF-8.' }),
  bodyBase64: z.string().optional().openapi({ description: 'As bytes, when it is not.' }),
}

export const Message = z.object(messageFields).openapi('Message')

/** JSON has no bytes: text where the body is text, base64 where it is not. */
const bodyJson = (body: Uint8Array): { body: string } | { bodyBase64: string } => {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return isUtf8(bytes) ? { body: bytes.toString() } : { bodyBase64: bytes.toString('base64') }
}

/** A message that was looked at. */
export const viewJson = (view: MessageView) => {
  const { topic, queueId, queueOffset, messageId, tag, keys, messageGroup } = view
  const { properties, storeAtMs, bornAtMs, bornHost, body } = view
  return {
    ...{ topic, queueId, queueOffset, messageId },
    ...(tag === '' ? {} : { tag }),
    ...(keys.length === 0 ? {} : { keys: [...keys] }),
    ...(messageGroup === '' ? {} : { messageGroup }),
    ...{ properties: { ...properties }, storeAtMs, bornAtMs, bornHost },
    ...bodyJson(body),
  }
}

/** A message that was leased. */
export const deliveredJson = ({ message, handle, attempt, cause }: Delivery) => ({
  ...viewJson({
    ...message,
    ...decodeSystem(message.system),
    properties: decodeProperties(message.properties),
  }),
  ...{ attempt, cause, invisibleUntilMs: handle.invisibleUntilMs },
})
