import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { startPositions } from '../../../model/addressing/group.ts'
import type { AdminPort } from '../../../model/admin.ts'
import { deliveryLimits } from '../../../model/delivery/limits.ts'
import type { RetryPolicy } from '../../../model/delivery/retry-policy.ts'
import type { GroupDescription, GroupProgress, GroupSummary } from '../../../model/ports.ts'
import { createRouter, json, jsonBody, refusals } from '../router.ts'
import { GroupPath, nextPage, PageQuery, pageOf, withoutGaps } from '../schemas.ts'

const tags = ['groups']
const ATTEMPTS_MAX = 1_000

/** Bounds are the broker's to judge; these are for who reads the document. */
const DelayMs = z.number().int().min(0).max(deliveryLimits.invisibleMsMax)

const Retry = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('customized'), stepsMs: z.array(DelayMs).min(1).max(100) }),
    z.strictObject({
      kind: z.literal('exponential'),
      initialMs: DelayMs,
      maxMs: DelayMs,
      multiplier: z.number().min(1).max(1_000),
    }),
  ])
  .openapi('RetryPolicy', { description: 'How long a refused message stays away, by attempt.' })

const Changes = z.strictObject({
  attemptsMax: z.number().int().min(1).max(ATTEMPTS_MAX).optional().openapi({
    description: 'Deliveries of one message before it is dead-lettered, the first included.',
    example: 17,
  }),
  startFrom: z.enum(startPositions).optional().openapi({
    description: 'Where it begins on a topic that it never read.',
  }),
  paused: z.boolean().optional().openapi({
    description: 'Its receives wait and answer with nothing; acknowledgements go on.',
  }),
  retry: Retry.optional(),
})

const SomeChanges = Changes.refine(
  (changes) => Object.keys(changes).length > 0,
  'say what is to change',
).openapi('GroupChanges', { minProperties: 1 })

const Creation = Changes.extend({ name: z.string().openapi({ example: 'billing' }) }).openapi(
  'GroupCreation',
)

const Summary = z
  .object({ name: z.string(), groupId: z.number(), state: z.string() })
  .openapi('GroupSummary') satisfies z.ZodType<GroupSummary>

const Progress = z.object({
  topic: z.string(),
  queueId: z.number(),
  floor: z.number().openapi({ description: 'Everything below this offset is acknowledged.' }),
  inFlight: z.number(),
  ready: z.number().openapi({ description: 'Messages that can be delivered now.' }),
  lag: z.number().openapi({ description: 'Messages not yet acknowledged, in flight or not.' }),
  oldestUnackedAgeMs: z.number().exactOptional().openapi({
    description: 'How long ago the oldest of them was stored; missing while that is not in memory.',
  }),
}) satisfies z.ZodType<GroupProgress>

const Description = z
  .object({
    name: z.string(),
    groupId: z.number(),
    state: z.string(),
    attemptsMax: z.number(),
    startFrom: z.enum(startPositions),
    paused: z.boolean(),
    retry: Retry,
    lag: z.number().openapi({ description: 'Of all topics and queues together.' }),
    inFlight: z.number(),
    progress: z.array(Progress),
  })
  .openapi('Group')

const MsMax = 8_640_000_000_000_000

const Reset = z
  .strictObject({
    topic: z.string().openapi({ example: 'orders' }),
    queueId: z.number().int().min(0).optional().openapi({ description: 'Missing: every queue.' }),
    to: z.discriminatedUnion('at', [
      z.strictObject({ at: z.literal('earliest') }),
      z.strictObject({ at: z.literal('latest') }),
      z.strictObject({ at: z.literal('time'), timeMs: z.number().int().min(0).max(MsMax) }),
      z.strictObject({ at: z.literal('offset'), queueOffset: z.number().int().min(0) }),
    ]),
  })
  .openapi('OffsetReset')

const Moved = z.object({ queueId: z.number(), from: z.number(), to: z.number() })

const reset = createRoute({
  method: 'post',
  path: '/groups/{group}/offsets',
  tags,
  summary: 'Go on reading elsewhere; what is leased is taken back',
  request: { params: GroupPath, body: jsonBody(Reset) },
  responses: {
    200: json(z.object({ queues: z.array(Moved) }), 'Where each queue was, and where it is.'),
    ...refusals,
  },
})

const list = createRoute({
  method: 'get',
  path: '/groups',
  tags,
  summary: 'Consumer groups, in order of name',
  request: { query: PageQuery },
  responses: {
    200: json(z.object({ groups: z.array(Summary), next: nextPage }), 'One page of groups.'),
    ...refusals,
  },
})

const create = createRoute({
  method: 'post',
  path: '/groups',
  tags,
  summary: 'Create a group before it first receives',
  request: { body: jsonBody(Creation) },
  responses: { 201: json(Description, 'It exists, durably.'), ...refusals },
})

const describe = createRoute({
  method: 'get',
  path: '/groups/{group}',
  tags,
  summary: 'Settings of a group, and how far it is on every queue',
  request: { params: GroupPath },
  responses: { 200: json(Description, 'The group.'), ...refusals },
})

const update = createRoute({
  method: 'patch',
  path: '/groups/{group}',
  tags,
  summary: 'Change settings; what is not named stays',
  request: { params: GroupPath, body: jsonBody(SomeChanges) },
  responses: { 200: json(Description, 'The group as it is now.'), ...refusals },
})

const end = createRoute({
  method: 'delete',
  path: '/groups/{group}',
  tags,
  summary: 'Delete a group and its progress, for good',
  request: { params: GroupPath },
  responses: { 204: { description: 'Nothing of it can be reached any more.' }, ...refusals },
})

export const groupRoutes = ({ broker: { groups } }: AdminPort): OpenAPIHono => {
  const router = createRouter()
  router.openapi(list, (c) => {
    const { page, ...rest } = pageOf(groups.list(), c.req.valid('query'))
    return c.json({ groups: page, ...rest }, 200)
  })
  router.openapi(create, async (c) => {
    const { name, ...options } = c.req.valid('json')
    return c.json(described(await groups.create(name, withoutGaps(options))), 201)
  })
  router.openapi(describe, (c) =>
    c.json(described(groups.describe(c.req.valid('param').group)), 200),
  )
  router.openapi(update, async (c) => {
    const changed = await groups.update(
      c.req.valid('param').group,
      withoutGaps(c.req.valid('json')),
    )
    return c.json(described(changed), 200)
  })
  router.openapi(reset, async (c) => {
    const asked = withoutGaps(c.req.valid('json'))
    const queues = await groups.resetOffsets(c.req.valid('param').group, asked)
    return c.json({ queues }, 200)
  })
  router.openapi(end, async (c) => {
    await groups.end(c.req.valid('param').group)
    return c.body(null, 204)
  })
  return router
}

const described = ({ progress, ...group }: GroupDescription) => ({
  ...group,
  retry: retryJson(group.retry),
  lag: progress.reduce((sum, { lag }) => sum + lag, 0),
  inFlight: progress.reduce((sum, { inFlight }) => sum + inFlight, 0),
  progress: [...progress],
})

const retryJson = (retry: RetryPolicy) =>
  retry.kind === 'customized' ? { ...retry, stepsMs: [...retry.stepsMs] } : retry
