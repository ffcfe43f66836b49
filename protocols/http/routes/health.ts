import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort, LoopDescription } from '../../../model/admin.ts'
import { createRouter, json, refusals } from '../router.ts'

const tags = ['health']

const Loop = z.object({
  address: z.string().openapi({ example: 'commit-log' }),
  state: z.string().openapi({ example: 'writing.idle' }),
  restarts: z.number(),
  lastError: z.string().optional(),
  nextTryInMs: z.number().optional(),
})

const Readiness = z
  .object({
    ready: z.boolean(),
    refusal: z.string().optional().openapi({ description: 'Why commands are refused.' }),
    loops: z.array(Loop).optional().openapi({ description: 'For who may see them.' }),
    quietLoops: z.number().optional().openapi({
      description: 'Owners that never failed are counted, not listed, unless `all` is asked for.',
    }),
  })
  .openapi('Readiness')

const live = createRoute({
  method: 'get',
  path: '/livez',
  tags,
  summary: 'The process answers',
  responses: { 200: json(z.object({ live: z.boolean() }), 'It lives.'), ...refusals },
})

const ready = createRoute({
  method: 'get',
  path: '/readyz',
  tags,
  summary: 'The broker takes commands; every supervised loop, with what became of it',
  request: { query: z.strictObject({ all: z.enum(['true', 'false']).optional() }) },
  responses: {
    200: json(Readiness, 'Everything is taken.'),
    503: json(Readiness, 'Commands are refused; it says why.'),
    ...refusals,
  },
})

/** The broker's own loops; topics, groups and sessions are shown when something was the matter. */
const isWorthSeeing = ({ address, restarts, lastError }: LoopDescription): boolean =>
  !address.includes(':') || restarts > 0 || lastError !== undefined

export const healthRoutes = (
  admin: AdminPort,
  maySeeAll: (authorization: string | undefined) => boolean,
): OpenAPIHono => {
  const router = createRouter()
  router.openapi(live, (c) => c.json({ live: true }, 200))
  router.openapi(ready, (c) => {
    const refusal = admin.refusal()
    const summary = { ready: refusal === undefined, ...(refusal === undefined ? {} : { refusal }) }
    const status = summary.ready ? 200 : 503
    if (!maySeeAll(c.req.header('authorization'))) return c.json(summary, status)
    const all = [...admin.loops()]
    const shown = c.req.valid('query').all === 'true' ? all : all.filter(isWorthSeeing)
    const quietLoops = all.length - shown.length
    return c.json({ ...summary, loops: shown.map(loopJson), quietLoops }, status)
  })
  return router
}

const loopJson = ({ address, state, restarts, lastError, nextTryInMs }: LoopDescription) => ({
  ...{ address, state: stateText(state), restarts },
  ...(lastError === undefined ? {} : { lastError }),
  ...(nextTryInMs === undefined ? {} : { nextTryInMs: Math.ceil(nextTryInMs) }),
})

/** `{ writing: 'idle' }` is `writing.idle`; regions beside each other are joined by `+`. */
const stateText = (state: unknown): string =>
  typeof state !== 'object' || state === null
    ? String(state)
    : Object.entries(state)
        .map(([name, within]) => `${name}.${stateText(within)}`)
        .join('+')
