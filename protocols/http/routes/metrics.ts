import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { BrokerError } from '../../../model/errors.ts'
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

const SCRAPES_MAX = 4

export const metricsRoutes = (admin: AdminPort): OpenAPIHono => {
  const router = createRouter()
  let scrapes = 0
  async function* parts(): AsyncGenerator<Uint8Array> {
    const encoder = new TextEncoder()
    scrapes++
    try {
      for await (const part of admin.metrics()) yield encoder.encode(part)
    } finally {
      scrapes--
    }
  }
  router.openapi(scrape, () => {
    // A scraper that reads slowly holds the samples of one scrape.
    if (scrapes >= SCRAPES_MAX)
      throw new BrokerError('THROTTLED', { reason: `${SCRAPES_MAX} scrapes at one time` })
    const headers = { 'content-type': CONTENT_TYPE }
    return new Response(ReadableStream.from(parts()), { headers }) as never
  })
  return router
}
