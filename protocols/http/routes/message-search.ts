import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import type { MessageTrace } from '../../../model/message/trace.ts'
import { Message, viewJson } from '../message-json.ts'
import { createRouter, json, refusals } from '../router.ts'
import { countIn, TopicPath, withoutGaps } from '../schemas.ts'

const tags = ['messages']
const LIMIT_MAX = 1_000
const MS_MAX = Number.MAX_SAFE_INTEGER
const NAME_MAX = 16_384
/** Bytes of log that one question may read. */
const READ_MAX = 2 ** 34

const topic = z.string().max(255).optional().openapi({ description: 'Missing: every topic.' })

const IdPath = z.object({
  messageId: z
    .string()
    .min(1)
    .max(NAME_MAX)
    .openapi({
      param: { name: 'messageId', in: 'path' },
      example: '01A2B3C4D5E6F7089A0B1C2D3E4F506172',
    }),
})

const FindQuery = z.strictObject({
  key: z.string().min(1).max(NAME_MAX).optional(),
  fromMs: countIn(0, MS_MAX).optional().openapi({ description: 'Stored at or after.' }),
  toMs: countIn(0, MS_MAX).optional().openapi({ description: 'Stored at or before.' }),
  limit: countIn(1, LIMIT_MAX, 32).optional(),
})

const Step = z
  .object({
    what: z.string().openapi({ example: 'leased' }),
    atMs: z.number().openapi({ description: 'Wall clock; not before this.' }),
    notAfterMs: z.number().optional().openapi({
      description: 'Where the log does not tell the time itself: not after this either.',
    }),
    group: z.string().optional(),
    attempt: z.number().optional(),
    invisibleUntilMs: z.number().optional(),
    clientId: z.string().optional(),
    detail: z.string().optional(),
  })
  .openapi('TraceStep')

const Trace = z
  .object({
    message: Message,
    steps: z.array(Step).openapi({ description: 'Oldest first.' }),
    tierObject: z.string().optional().openapi({
      description: 'Object in the tier that holds the message; missing while the log does.',
    }),
    reclaimedBeforeMs: z.number().optional().openapi({
      description: 'History before this was reclaimed; missing when all of it is there.',
    }),
    unreadBytes: z.number().optional().openapi({
      description: 'Bytes of log that were not read; missing when all were.',
    }),
  })
  .openapi('MessageTrace')

const found = json(
  z.object({ messages: z.array(Message) }),
  'Oldest first; none when none is kept.',
)

const find = createRoute({
  method: 'get',
  path: '/topics/{topic}/messages',
  tags,
  summary: 'Stored messages of a topic by key and time; nothing is leased, nothing moves',
  request: { params: TopicPath, query: FindQuery },
  responses: { 200: found, ...refusals },
})

const byId = createRoute({
  method: 'get',
  path: '/messages/{messageId}',
  tags,
  summary: 'Stored messages with this id: a client may have sent one id twice',
  request: { params: IdPath, query: z.strictObject({ topic }) },
  responses: { 200: found, ...refusals },
})

const why = createRoute({
  method: 'get',
  path: '/messages/{messageId}/why',
  tags,
  summary: 'The life of a message, as far as the log still tells',
  request: {
    params: IdPath,
    query: z.strictObject({
      topic,
      bytesMax: countIn(1, READ_MAX, 2 ** 28)
        .optional()
        .openapi({
          description: 'Reads so much of the log at most; 256 MiB by default.',
        }),
    }),
  },
  responses: {
    200: json(z.object({ traces: z.array(Trace) }), 'One for every message with this id.'),
    ...refusals,
  },
})

const traceJson = ({ message, steps, ...about }: MessageTrace) => ({
  ...about,
  message: viewJson(message),
  steps: steps.map((step) => ({ ...step })),
})

export const messageSearchRoutes = ({ broker: { messages } }: AdminPort): OpenAPIHono => {
  const router = createRouter()
  router.openapi(find, async (c) => {
    const query = { ...c.req.valid('param'), ...withoutGaps(c.req.valid('query')) }
    return c.json({ messages: (await messages.find(query)).map(viewJson) }, 200)
  })
  router.openapi(byId, async (c) => {
    const { messageId } = c.req.valid('param')
    const views = await messages.byId(messageId, c.req.valid('query').topic)
    return c.json({ messages: views.map(viewJson) }, 200)
  })
  router.openapi(why, async (c) => {
    const { messageId } = c.req.valid('param')
    const { topic: of, ...bounds } = withoutGaps(c.req.valid('query'))
    const traces = await messages.why(messageId, of, bounds)
    return c.json({ traces: traces.map(traceJson) }, 200)
  })
  return router
}
