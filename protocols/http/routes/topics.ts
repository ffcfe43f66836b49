import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { QUEUES_MAX, topicTypes } from '../../../model/addressing/topic.ts'
import type { TopicDescription, TopicSummary } from '../../../model/ports.ts'
import { createRouter, json, jsonBody, refusals } from '../router.ts'
import { nextPage, PageQuery, pageOf, TopicPath, withoutGaps } from '../schemas.ts'

const tags = ['topics']
const HOURS_72 = 259_200_000

const Type = z.enum(topicTypes).openapi({ example: 'NORMAL' })
const Queues = z.number().int().min(1).max(QUEUES_MAX).openapi({ example: 8 })
const AgeMs = z.number().int().min(1).openapi({ example: HOURS_72 })
const Bytes = z.number().int().nonnegative().openapi({ description: '0 means no limit.' })

const Settings = z.object({
  type: Type,
  queues: Queues,
  retention: z.object({ ageMs: z.number(), bytes: z.number() }),
})

const Changes = z.strictObject({
  type: Type.optional(),
  queues: Queues.optional(),
  paused: z.boolean().optional().openapi({
    description: 'Holds scheduled messages, however late they become; false lets them come.',
  }),
  retention: z.strictObject({ ageMs: AgeMs.optional(), bytes: Bytes.optional() }).optional(),
})

const SomeChanges = Changes.refine(
  (changes) => Object.keys(changes).length > 0,
  'say what is to change',
).openapi('TopicChanges', { minProperties: 1 })

const Creation = Changes.extend({ name: z.string().openapi({ example: 'orders' }) }).openapi(
  'TopicCreation',
)

const Summary = z
  .object({
    name: z.string(),
    topicId: z.number().openapi({ description: 'The incarnation; never reused.' }),
    type: Type,
    queues: z.number(),
    state: z.string().openapi({ example: 'serving.open' }),
  })
  .openapi('TopicSummary') satisfies z.ZodType<TopicSummary>

const Queue = z.object({
  queueId: z.number(),
  offsetMin: z.number().openapi({ description: 'First offset still kept.' }),
  offsetMax: z.number().openapi({ description: 'One past the last visible offset.' }),
})

const Description = Settings.extend({
  name: z.string(),
  topicId: z.number(),
  state: z.string(),
  messages: z.number(),
  bytes: z.number().openapi({ description: 'Live bytes in the CommitLog.' }),
  paused: z.literal(true).optional().openapi({ description: 'Scheduled messages are held.' }),
  offsets: z.array(Queue),
}).openapi('Topic') satisfies z.ZodType<Omit<TopicDescription, 'offsets' | 'paused'>>

const list = createRoute({
  method: 'get',
  path: '/topics',
  tags,
  summary: 'Topics, in order of name',
  request: { query: PageQuery },
  responses: {
    200: json(z.object({ topics: z.array(Summary), next: nextPage }), 'One page of topics.'),
    ...refusals,
  },
})

const create = createRoute({
  method: 'post',
  path: '/topics',
  tags,
  summary: 'Create a topic; the same settings twice are harmless',
  request: { body: jsonBody(Creation) },
  responses: { 201: json(Description, 'It exists, durably.'), ...refusals },
})

const describe = createRoute({
  method: 'get',
  path: '/topics/{topic}',
  tags,
  summary: 'Settings, size and queues of a topic',
  request: { params: TopicPath },
  responses: { 200: json(Description, 'The topic.'), ...refusals },
})

const update = createRoute({
  method: 'patch',
  path: '/topics/{topic}',
  tags,
  summary: 'Change settings; what is not named stays',
  request: { params: TopicPath, body: jsonBody(SomeChanges) },
  responses: { 200: json(Description, 'The topic as it is now.'), ...refusals },
})

const end = createRoute({
  method: 'delete',
  path: '/topics/{topic}',
  tags,
  summary: 'Delete a topic and its messages, for good',
  request: { params: TopicPath },
  responses: { 204: { description: 'Nothing of it can be reached any more.' }, ...refusals },
})

export const topicRoutes = ({ broker: { topics } }: AdminPort): OpenAPIHono => {
  const router = createRouter()
  router.openapi(list, (c) => {
    const { page, ...rest } = pageOf(topics.list(), c.req.valid('query'))
    return c.json({ topics: page, ...rest }, 200)
  })
  router.openapi(create, async (c) => {
    const { name, ...options } = c.req.valid('json')
    return c.json(described(await topics.create(name, withoutGaps(options))), 201)
  })
  router.openapi(describe, (c) =>
    c.json(described(topics.describe(c.req.valid('param').topic)), 200),
  )
  router.openapi(update, async (c) => {
    const { topic } = c.req.valid('param')
    const changed = await topics.update(topic, withoutGaps(c.req.valid('json')))
    return c.json(described(changed), 200)
  })
  router.openapi(end, async (c) => {
    await topics.end(c.req.valid('param').topic)
    return c.body(null, 204)
  })
  return router
}

/** A fixed order of fields, for people who read it. */
const described = (topic: TopicDescription) => {
  const { name, topicId, type, queues, state, messages, bytes, retention, offsets } = topic
  const paused = topic.paused ? { paused: topic.paused } : {}
  const size = { messages, bytes, offsets: [...offsets] }
  return { name, topicId, type, queues, state, ...paused, retention, ...size }
}
