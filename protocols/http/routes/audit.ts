import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { BrokerError } from '../../../model/errors.ts'
import { createRouter, json, refusals } from '../router.ts'

const Residue = z.object({
  owner: z.string().openapi({ example: 'topic:17' }),
  kind: z.string().openapi({ example: 'indexKey' }),
  what: z.string(),
  bytes: z.number(),
})

const Awaiting = z.object({
  owner: z.string(),
  name: z.string(),
  bytes: z.number(),
  byMs: z.number().openapi({ description: 'Wall clock: gone by then.' }),
})

const Report = z
  .object({
    clean: z.boolean(),
    residue: z.array(Residue).openapi({ description: 'What has no living owner.' }),
    awaitingReclaim: z.array(Awaiting).openapi({
      description: 'Bytes of the deleted that share parts of the log with the living.',
    }),
  })
  .openapi('AuditReport')

const look = createRoute({
  method: 'get',
  path: '/audit',
  tags: ['broker'],
  summary: 'Ask of everything that is stored who owns it; one at a time',
  responses: { 200: json(Report, 'The report.'), ...refusals },
})

export const auditRoutes = (admin: AdminPort): OpenAPIHono => {
  const router = createRouter()
  let isLooking = false
  router.openapi(look, async (c) => {
    if (isLooking) throw new BrokerError('THROTTLED', { reason: 'an audit is under way' })
    isLooking = true
    try {
      const { clean, residue, awaitingReclaim } = await admin.audit()
      return c.json({ clean, residue: [...residue], awaitingReclaim: [...awaitingReclaim] }, 200)
    } finally {
      isLooking = false
    }
  })
  return router
}
