import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import type { VerifyStep } from '../../../model/doctor.ts'
import { oneAtATime } from '../one-at-a-time.ts'
import { createRouter, refusals } from '../router.ts'

const look = createRoute({
  method: 'get',
  path: '/verify',
  tags: ['broker'],
  summary: 'Read everything stored and compare it with itself; one at a time',
  responses: {
    200: {
      description: 'A JSON object a line: progress, faults, and at last what was verified.',
      content: { 'application/x-ndjson': { schema: z.string() } },
    },
    ...refusals,
  },
})

async function* linesOf(steps: AsyncGenerator<VerifyStep>): AsyncGenerator<Uint8Array> {
  for await (const step of steps) yield Buffer.from(`${JSON.stringify(step)}\n`)
}

export const verifyRoutes = (admin: AdminPort): OpenAPIHono => {
  const router = createRouter()
  const lend = oneAtATime('a verification', () => linesOf(admin.verify()))
  router.openapi(look, async (c) => {
    c.header('content-type', 'application/x-ndjson')
    if (c.req.method === 'HEAD') return c.body(null) as never
    const lines = await lend()
    c.req.raw.signal.addEventListener('abort', () => void lines.return?.().catch(() => {}))
    return c.body(ReadableStream.from(lines) as never) as never
  })
  return router
}
