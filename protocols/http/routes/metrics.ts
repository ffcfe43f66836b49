import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { createRouter, refusals } from '../router.ts'

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

const scrape = createRoute({
  method: 'get',
  path: '/metrics',
  tags: ['health'],
  summary: "All metrics in Prometheus' text format",
  responses: {
    200: {
      description: 'Functions of state: a series lives exactly as long as its owner.',
      content: { 'text/plain': { schema: z.string() } },
    },
    ...refusals,
  },
})

export const metricsRoutes = (admin: AdminPort): OpenAPIHono => {
  const router = createRouter()
  router.openapi(scrape, async (c) => {
    c.header('content-type', CONTENT_TYPE)
    return c.body(await admin.metrics()) as never
  })
  return router
}
