import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { oneAtATime } from '../one-at-a-time.ts'
import { createRouter, refusals } from '../router.ts'

const take = createRoute({
  method: 'get',
  path: '/backup',
  tags: ['broker'],
  summary: 'Everything acknowledged so far, as one stream; one at a time',
  responses: {
    200: {
      description: 'Whole only with its last line; `glasspost restore` checks it.',
      content: { 'application/octet-stream': { schema: z.string() } },
    },
    ...refusals,
  },
})

export const backupRoutes = (admin: AdminPort): OpenAPIHono => {
  const router = createRouter()
  const lend = oneAtATime('a backup', admin.backup)
  router.openapi(take, async (c) => {
    c.header('content-type', 'application/octet-stream')
    c.header('content-disposition', 'attachment; filename="glasspost.backup"')
    if (c.req.method === 'HEAD') return c.body(null) as never
    const parts = await lend()
    // Also when the client is gone before the first part.
    c.req.raw.signal.addEventListener('abort', () => void parts.return?.().catch(() => {}))
    return c.body(ReadableStream.from(parts) as never) as never
  })
  return router
}
