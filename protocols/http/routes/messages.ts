import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { QUEUES_MAX } from '../../../model/addressing/topic.ts'
import { tagFilter } from '../../../model/delivery/filter.ts'
import { deliveryLimits } from '../../../model/delivery/limits.ts'
import { deliveredJson, Message, messageFields, viewJson } from '../message-json.ts'
import { createRouter, json, jsonBody, refusals } from '../router.ts'
import { countIn, GroupPath, TopicPath, withoutGaps } from '../schemas.ts'

const tags = ['messages']
const { batchMax, invisibleMsMax, autoRenewInvisibleMs, pollMsMax } = deliveryLimits

const Draft = z
  .strictObject({
    body: z.string().optional().openapi({ description: 'As text.', example: 'hello' }),
    bodyBase64: z.base64().optional().openapi({ description: 'As bytes; one of the two.' }),
    tag: z.string().optional(),
    keys: z.array(z.string()).optional(),
    properties: z.record(z.string(), z.string()).optional(),
    messageGroup: z.string().optional().openapi({ description: 'Makes it a FIFO message.' }),
    messageId: z.string().optional().openapi({ description: 'Assigned when missing.' }),
    deliverAtMs: z.number().optional().openapi({ description: 'Not before this, wall clock.' }),
    delayMs: z.number().optional().openapi({ description: 'So long from now.' }),
    delayLevel: z.number().optional().openapi({ description: '1 for 1 s to 18 for 2 h.' }),
  })
  .refine(
    ({ body, bodyBase64 }) => (body === undefined) !== (bodyBase64 === undefined),
    'give body or bodyBase64',
  )
  .openapi('MessageDraft')

const Receipt = z
  .object({
    messageId: z.string(),
    queueId: z.number(),
    queueOffset: z.number(),
    recallHandle: z
      .string()
      .optional()
      .openapi({ description: 'Of a message that waits: queue and offset are 0.' }),
  })
  .openapi('SendReceipt')

const ReceiveRequest = z
  .strictObject({
    topic: z.string().openapi({ example: 'orders' }),
    filter: z.string().optional().openapi({ description: "'*' or tags joined by '||'." }),
    batchMax: z.number().int().min(1).max(batchMax).optional(),
    invisibleMs: z
      .number()
      .int()
      .min(1)
      .max(invisibleMsMax)
      .optional()
      .openapi({
        description: `How long the messages are kept from others; ${autoRenewInvisibleMs} by default.`,
      }),
    waitMs: z.number().int().min(0).max(pollMsMax).optional().openapi({
      description: 'Waits this long for a first message; 0 by default.',
    }),
  })
  .openapi('ReceiveRequest')

const PEEK_MAX = 1_000
const OFFSET_MAX = Number.MAX_SAFE_INTEGER
const QUEUE_MAX = QUEUES_MAX - 1

const QueuePath = TopicPath.extend({
  queueId: countIn(0, QUEUE_MAX).openapi({ param: { name: 'queueId', in: 'path' } }),
})

const PeekQuery = z.strictObject({
  fromOffset: countIn(0, OFFSET_MAX).optional().openapi({ description: 'Default: the oldest.' }),
  limit: countIn(1, PEEK_MAX, 32).optional(),
})

const Delivery = z
  .object({
    ...messageFields,
    attempt: z.number().openapi({ description: '1 for the first delivery.' }),
    cause: z.string().openapi({ description: '`first`, or why it came again.', example: 'first' }),
    invisibleUntilMs: z.number(),
    receiptHandle: z.string(),
  })
  .openapi('Delivery')

const Receipts = z.strictObject({ receiptHandle: z.string().max(1_024) }).openapi('ReceiptHandle')

const Extension = z
  .strictObject({
    receiptHandle: z.string().max(1_024),
    invisibleMs: z.number().int().min(0).max(invisibleMsMax),
  })
  .openapi('Extension')

const DeadLetter = z
  .strictObject({ receiptHandle: z.string().max(1_024), reason: z.string().max(1_024).optional() })
  .openapi('DeadLettering')

const send = createRoute({
  method: 'post',
  path: '/topics/{topic}/messages',
  tags,
  summary: 'Send a message; answered when it is on disk',
  request: { params: TopicPath, body: jsonBody(Draft) },
  responses: { 201: json(Receipt, 'It is on disk.'), ...refusals },
})

const peek = createRoute({
  method: 'get',
  path: '/topics/{topic}/queues/{queueId}/messages',
  tags,
  summary: 'Look at stored messages from an offset on; nothing is leased, nothing moves',
  request: { params: QueuePath, query: PeekQuery },
  responses: {
    200: json(z.object({ messages: z.array(Message) }), 'None behind the end of the queue.'),
    ...refusals,
  },
})

const receive = createRoute({
  method: 'post',
  path: '/groups/{group}/receive',
  tags,
  summary: 'Take messages on lease; acknowledge each, or it comes again',
  request: { params: GroupPath, body: jsonBody(ReceiveRequest) },
  responses: {
    200: json(z.object({ messages: z.array(Delivery) }), 'None when none came in time.'),
    ...refusals,
  },
})

const ack = createRoute({
  method: 'post',
  path: '/receipts/ack',
  tags,
  summary: 'End a delivery for good; repeating it is harmless',
  request: { body: jsonBody(Receipts) },
  responses: { 204: { description: 'Acknowledged.' }, ...refusals },
})

const extend = createRoute({
  method: 'post',
  path: '/receipts/extend',
  tags,
  summary: 'Keep a message longer, or give it back at once with 0',
  request: { body: jsonBody(Extension) },
  responses: { 200: json(Receipts, 'The handle that counts now.'), ...refusals },
})

const deadLetter = createRoute({
  method: 'post',
  path: '/receipts/dead-letter',
  tags,
  summary: "Move a message to its group's dead-letter topic",
  request: { body: jsonBody(DeadLetter) },
  responses: { 204: { description: 'Moved, durably.' }, ...refusals },
})

export const messageRoutes = (
  { broker, send: store }: AdminPort,
  closing: AbortSignal,
): OpenAPIHono => {
  const router = createRouter()
  router.openapi(send, async (c) => {
    const { body: text, bodyBase64, ...fields } = c.req.valid('json')
    const body = text ?? Buffer.from(bodyBase64 ?? '', 'base64')
    const receipt = await store(c.req.valid('param').topic, { ...withoutGaps(fields), body })
    return c.json(receipt, 201)
  })
  router.openapi(peek, async (c) => {
    const { fromOffset = 0, limit } = c.req.valid('query')
    const place = { ...c.req.valid('param'), fromOffset }
    const views = await broker.messages.peek(limit === undefined ? place : { ...place, limit })
    return c.json({ messages: views.map(viewJson) }, 200)
  })
  router.openapi(receive, async (c) => {
    const { filter = '*', ...asked } = c.req.valid('json')
    const { deliveries } = await broker.receive({
      topic: asked.topic,
      group: c.req.valid('param').group,
      filter: tagFilter(filter),
      batchMax: asked.batchMax ?? 1,
      invisibleMs: asked.invisibleMs ?? autoRenewInvisibleMs,
      waitMs: asked.waitMs ?? 0,
      signal: AbortSignal.any([c.req.raw.signal, closing]),
    })
    const messages = deliveries.map((delivery) => ({
      ...deliveredJson(delivery),
      receiptHandle: broker.sealHandle(delivery.handle),
    }))
    return c.json({ messages }, 200)
  })
  router.openapi(ack, async (c) => {
    await broker.ack(broker.openHandle(c.req.valid('json').receiptHandle))
    return c.body(null, 204)
  })
  router.openapi(extend, async (c) => {
    const { receiptHandle, invisibleMs } = c.req.valid('json')
    const handle = await broker.extend(broker.openHandle(receiptHandle), invisibleMs)
    return c.json({ receiptHandle: broker.sealHandle(handle) }, 200)
  })
  router.openapi(deadLetter, async (c) => {
    const { receiptHandle, reason = 'by hand' } = c.req.valid('json')
    await broker.deadLetter(broker.openHandle(receiptHandle), reason)
    return c.body(null, 204)
  })
  return router
}
