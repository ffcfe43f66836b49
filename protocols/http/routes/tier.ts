import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { TierStatus } from '../../../model/tier/tier-admin.ts'
import { oneAtATime } from '../one-at-a-time.ts'
import { createRouter, json, refusals } from '../router.ts'
import { TopicPath } from '../schemas.ts'
import { Residue, Status } from '../tier-schemas.ts'
import { framesOf, linesOf } from '../tier-streams.ts'

const tags = ['tier']
const TopicQuery = z.strictObject({
  topic: z.string().min(1).max(255).optional().openapi({ example: 'orders' }),
})

const lines = {
  200: {
    description:
      'A JSON object a line: `step` for every object, and at last `done`, or `failed` with code ' +
      'and remedy.',
    content: { 'application/x-ndjson': { schema: z.string() } },
  },
  ...refusals,
}

const look = createRoute({
  method: 'get',
  path: '/tier',
  tags,
  summary: 'What the tier holds, does, waits for and costs; of one topic or of all',
  request: { query: TopicQuery },
  responses: { 200: json(Status, 'The tier as it is now.'), ...refusals },
})

const offload = createRoute({
  method: 'post',
  path: '/tier/offload',
  tags,
  summary: 'Offload what the log has now without waiting for full segments; one at a time',
  request: { query: TopicQuery },
  responses: lines,
})

const verify = createRoute({
  method: 'post',
  path: '/tier/verify',
  tags,
  summary: 'Read every object and compare it with itself and the claims on it; one at a time',
  request: { query: TopicQuery },
  responses: lines,
})

const fetch = createRoute({
  method: 'get',
  path: '/tier/topics/{topic}/objects',
  tags,
  summary: 'The objects of a topic as they lie in the store, manifest first; one topic at a time',
  request: { params: TopicPath },
  responses: {
    200: {
      description:
        'Of every object a line of JSON with its `key` and `bytes`, then these bytes; at last a ' +
        'line `done`, or `failed` with code and remedy.',
      content: { 'application/octet-stream': { schema: z.string() } },
    },
    ...refusals,
  },
})

const residue = createRoute({
  method: 'get',
  path: '/tier/residue',
  tags,
  summary: 'What the store holds that nobody claims; one at a time',
  responses: { 200: json(Residue, 'The janitor removes it in time.'), ...refusals },
})

export const tierRoutes = ({ broker, tiering }: AdminPort): OpenAPIHono => {
  const router = createRouter()
  const lend = {
    offload: oneAtATime('an offload', (topic?: string) => linesOf(() => tiering.offload(topic))),
    verify: oneAtATime('a verification of the tier', (topic?: string) =>
      linesOf(() => tiering.verify(topic)),
    ),
    fetch: oneAtATime('a fetch', (topic: string) => framesOf(() => tiering.fetch(topic))),
  }
  let isListing = false
  const expectTopic = (name: string | undefined): void => {
    if (name !== undefined) broker.topics.describe(name)
  }
  router.openapi(look, (c) => {
    const { topic } = c.req.valid('query')
    const found = tiering.status(topic)
    if (found === undefined) throw new BrokerError('TIER_OFF', {})
    // One that has ended is told while its objects are being removed.
    if (found.topics.length === 0) expectTopic(topic)
    return c.json(statusJson(found), 200)
  })
  for (const [route, begin] of [
    [offload, lend.offload],
    [verify, lend.verify],
  ] as const)
    router.openapi(route, async (c) => {
      const { topic } = c.req.valid('query')
      expectTopic(topic)
      return streamed(c.req.raw, await begin(topic), 'application/x-ndjson') as never
    })
  router.openapi(fetch, async (c) => {
    const { topic } = c.req.valid('param')
    expectTopic(topic)
    if (c.req.method === 'HEAD') return c.body(null) as never
    return streamed(c.req.raw, await lend.fetch(topic), 'application/octet-stream')
  })
  router.openapi(residue, async (c) => {
    if (isListing) throw new BrokerError('THROTTLED', { reason: 'a listing is under way' })
    isListing = true
    try {
      return c.json({ objects: [...(await tiering.residue())] }, 200)
    } finally {
      isListing = false
    }
  })
  return router
}

const streamed = (
  { signal }: Request,
  parts: AsyncIterableIterator<Uint8Array>,
  contentType: string,
): Response => {
  // Also when the client is gone before the first part.
  const leave = (): void => void parts.return?.().catch(() => {})
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave)
  return new Response(ReadableStream.from(parts), { headers: { 'content-type': contentType } })
}

const statusJson = (status: TierStatus) => ({
  ...status,
  topics: status.topics.map((topic) => ({ ...topic, queues: [...topic.queues] })),
})
