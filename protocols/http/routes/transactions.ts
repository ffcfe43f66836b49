import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { createRouter, json, jsonBody, refusals } from '../router.ts'
import { countIn, nextPage, withoutGaps } from '../schemas.ts'

const tags = ['transactions']
const LIMIT_MAX = 1_000
const ID_LENGTH_MAX = 16_384

const Transaction = z
  .object({
    transactionId: z.string(),
    topic: z.string(),
    messageId: z.string(),
    preparedAtMs: z.number(),
    checks: z.number().openapi({ description: 'How often a producer was asked.' }),
    nextCheckAtMs: z.number().optional(),
    state: z.enum(['pending', 'parked']).openapi({
      description: 'Parked: all checks are used up, and somebody has to decide.',
    }),
    bytes: z.number(),
  })
  .openapi('Transaction')

const TransactionsQuery = z.strictObject({
  topic: z.string().max(255).optional(),
  limit: countIn(1, LIMIT_MAX, 100).optional(),
  after: z.string().max(64).optional(),
})

const Resolution = z
  .strictObject({
    topic: z.string().max(255),
    transactionId: z.string().max(ID_LENGTH_MAX),
    messageId: z.string().max(ID_LENGTH_MAX),
    resolution: z.enum(['commit', 'rollback']),
  })
  .openapi('TransactionResolution')

const list = createRoute({
  method: 'get',
  path: '/transactions',
  tags,
  summary: 'Half messages that wait for their producer, or for somebody to decide',
  request: { query: TransactionsQuery },
  responses: {
    200: json(
      z.object({ transactions: z.array(Transaction), count: z.number(), next: nextPage }),
      'One page; `count` is how many wait, of the topic or of all.',
    ),
    ...refusals,
  },
})

const end = createRoute({
  method: 'post',
  path: '/transactions/end',
  tags,
  summary: 'Commit or roll back; the same twice is harmless',
  request: { body: jsonBody(Resolution) },
  responses: { 204: { description: 'Resolved, durably.' }, ...refusals },
})

export const transactionRoutes = ({ broker }: AdminPort): OpenAPIHono => {
  const router = createRouter()
  router.openapi(list, async (c) => {
    const query = withoutGaps(c.req.valid('query'))
    const { transactions, next } = await broker.transactions.list(query)
    const count = broker.transactions.count(query.topic)
    return c.json({ transactions: [...transactions], count, next }, 200)
  })
  router.openapi(end, async (c) => {
    await broker.transactions.end(c.req.valid('json'))
    return c.body(null, 204)
  })
  return router
}
