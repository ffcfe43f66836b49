import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { createRouter, json, jsonBody, refusals } from '../router.ts'
import { countIn, GroupPath, nextPage, withoutGaps } from '../schemas.ts'

const tags = ['dead letters']
const LIMIT_MAX = 1_000
const NAME_MAX = 16_384

const Letter = z
  .object({
    messageId: z.string(),
    queueId: z.number(),
    queueOffset: z.number(),
    storeAtMs: z.number().openapi({ description: 'When it was dead-lettered, wall clock.' }),
    originTopic: z.string(),
    originMessageId: z.string(),
    reason: z.string(),
    bytes: z.number(),
  })
  .openapi('DeadLetter')

const messageIds = z.array(z.string().min(1).max(NAME_MAX)).min(1).max(LIMIT_MAX)

const ListQuery = z.strictObject({
  limit: countIn(1, LIMIT_MAX, 100).optional(),
  after: z.string().max(64).optional(),
})

const Redrive = z
  .strictObject({ messageIds: messageIds.optional() })
  .openapi('Redrive', { description: 'Those with these ids, or all.' })

const Purge = z
  .union([z.strictObject({ messageIds }), z.strictObject({ all: z.literal(true) })])
  .openapi('Purge', { description: 'Say which, or say all.' })

const list = createRoute({
  method: 'get',
  path: '/groups/{group}/dead-letters',
  tags,
  summary: 'Messages that a group could not handle, oldest first; nothing is leased',
  request: { params: GroupPath, query: ListQuery },
  responses: {
    200: json(z.object({ deadLetters: z.array(Letter), next: nextPage }), 'One page of them.'),
    ...refusals,
  },
})

const redrive = createRoute({
  method: 'post',
  path: '/groups/{group}/dead-letters/redrive',
  tags,
  summary: 'Send dead letters back to the topics they came from',
  request: { params: GroupPath, body: jsonBody(Redrive) },
  responses: { 200: json(z.object({ redriven: z.number() }), 'How many, durably.'), ...refusals },
})

const purge = createRoute({
  method: 'post',
  path: '/groups/{group}/dead-letters/purge',
  tags,
  summary: 'Forget dead letters for good',
  request: { params: GroupPath, body: jsonBody(Purge) },
  responses: { 200: json(z.object({ purged: z.number() }), 'How many, durably.'), ...refusals },
})

export const deadLetterRoutes = ({ broker: { deadLetters } }: AdminPort): OpenAPIHono => {
  const router = createRouter()
  router.openapi(list, async (c) => {
    const query = withoutGaps(c.req.valid('query'))
    const { deadLetters: page, ...rest } = await deadLetters.list(c.req.valid('param').group, query)
    return c.json({ deadLetters: [...page], ...rest }, 200)
  })
  router.openapi(redrive, async (c) => {
    const { messageIds: ids } = c.req.valid('json')
    return c.json({ redriven: await deadLetters.redrive(c.req.valid('param').group, ids) }, 200)
  })
  router.openapi(purge, async (c) => {
    const asked = c.req.valid('json')
    const ids = 'messageIds' in asked ? asked.messageIds : undefined
    return c.json({ purged: await deadLetters.purge(c.req.valid('param').group, ids) }, 200)
  })
  return router
}
