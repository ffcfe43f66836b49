import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { PendingTimer, TimerPage } from '../../../model/timer/timers.ts'
import { createRouter, json, jsonBody, refusals } from '../router.ts'
import { countIn, nextPage, TopicPath, withoutGaps } from '../schemas.ts'

const tags = ['timers']
const LIMIT_MAX = 1_000
const MS_MAX = Number.MAX_SAFE_INTEGER

const Ms = z.number().int().nonnegative().max(MS_MAX)
const TimerPath = z.object({
  timerId: z
    .string()
    .regex(/^\d{1,16}$/, 'not a timer id')
    .openapi({ param: { name: 'timerId', in: 'path' }, example: '17' }),
})

const Timer = z
  .object({
    timerId: z.string(),
    topic: z.string(),
    messageId: z.string(),
    tag: z.string(),
    keys: z.array(z.string()),
    dueAtMs: z.number().openapi({ description: 'Wall clock.' }),
    scheduledAtMs: z.number(),
    bytes: z.number(),
  })
  .openapi('Timer')

const wanted = {
  topic: z.string().max(255).optional(),
  key: z.string().max(16_384).optional(),
  messageId: z.string().max(16_384).optional(),
}

const TimersQuery = z.strictObject({
  ...wanted,
  fromMs: countIn(0, MS_MAX).optional().openapi({ description: 'Due at or after.' }),
  toMs: countIn(0, MS_MAX).optional().openapi({ description: 'Due before.' }),
  limit: countIn(1, LIMIT_MAX, 100).optional(),
  after: z.string().max(64).optional(),
})

const Cancellation = z
  .strictObject({ ...wanted, fromMs: Ms.optional(), toMs: Ms.optional() })
  .refine((fields) => Object.keys(fields).length > 0, 'say which: nothing named would be all')
  .openapi('TimerCancellation')

const Recall = z
  .object({
    outcome: z.enum(['recalled', 'delivered', 'forgotten', 'invalid']),
    messageId: z.string().optional(),
  })
  .openapi('RecallResult')

const list = createRoute({
  method: 'get',
  path: '/timers',
  tags,
  summary: 'Messages that wait for their delivery time, in order of it',
  request: { query: TimersQuery },
  responses: {
    200: json(
      z.object({ timers: z.array(Timer), count: z.number(), next: nextPage }),
      'One page; `count` is how many wait, of the topic or of all.',
    ),
    ...refusals,
  },
})

const show = createRoute({
  method: 'get',
  path: '/timers/{timerId}',
  tags,
  summary: 'One that waits',
  request: { params: TimerPath },
  responses: { 200: json(Timer, 'It waits.'), ...refusals },
})

const reschedule = createRoute({
  method: 'patch',
  path: '/timers/{timerId}',
  tags,
  summary: 'Deliver it at another time',
  request: { params: TimerPath, body: jsonBody(z.strictObject({ dueAtMs: Ms })) },
  responses: { 200: json(Timer, 'As it waits now.'), ...refusals },
})

const fire = createRoute({
  method: 'post',
  path: '/timers/{timerId}/fire',
  tags,
  summary: 'Deliver it now',
  request: { params: TimerPath },
  responses: { 204: { description: 'It is in its topic, durably.' }, ...refusals },
})

const cancel = createRoute({
  method: 'delete',
  path: '/timers/{timerId}',
  tags,
  summary: 'Never deliver it',
  request: { params: TimerPath },
  responses: { 204: { description: 'It is gone, durably.' }, ...refusals },
})

const cancelAll = createRoute({
  method: 'post',
  path: '/timers/cancel',
  tags,
  summary: 'Never deliver any that match',
  request: { body: jsonBody(Cancellation) },
  responses: { 200: json(z.object({ cancelled: z.number() }), 'How many.'), ...refusals },
})

const recall = createRoute({
  method: 'post',
  path: '/topics/{topic}/recall',
  tags,
  summary: 'Take a scheduled message back by the handle of its send receipt',
  request: {
    params: TopicPath,
    body: jsonBody(z.strictObject({ recallHandle: z.string().max(4_096) })),
  },
  responses: { 200: json(Recall, 'What became of it, for certain.'), ...refusals },
})

export const timerRoutes = ({ broker }: AdminPort): OpenAPIHono => {
  const router = createRouter()
  router.openapi(list, async (c) => {
    const query = withoutGaps(c.req.valid('query'))
    const page = await broker.timers.list(query)
    return c.json({ ...pageJson(page), count: broker.timers.count(query.topic) }, 200)
  })
  router.openapi(show, async (c) => {
    const { timerId } = c.req.valid('param')
    const timer = await broker.timers.show(timerId)
    if (timer === undefined) throw new BrokerError('TIMER_NOT_FOUND', { timerId })
    return c.json(timerJson(timer), 200)
  })
  router.openapi(reschedule, async (c) => {
    const { dueAtMs } = c.req.valid('json')
    const timer = await broker.timers.reschedule(c.req.valid('param').timerId, dueAtMs)
    return c.json(timerJson(timer), 200)
  })
  router.openapi(fire, async (c) => {
    await broker.timers.fire(c.req.valid('param').timerId)
    return c.body(null, 204)
  })
  router.openapi(cancel, async (c) => {
    const { timerId } = c.req.valid('param')
    if (!(await broker.timers.cancel(timerId)))
      throw new BrokerError('TIMER_NOT_FOUND', { timerId })
    return c.body(null, 204)
  })
  router.openapi(cancelAll, async (c) => {
    const cancelled = await broker.timers.cancelAll(withoutGaps(c.req.valid('json')))
    return c.json({ cancelled }, 200)
  })
  router.openapi(recall, async (c) => {
    const { recallHandle } = c.req.valid('json')
    const result = await broker.timers.recall(c.req.valid('param').topic, recallHandle)
    return c.json(result, 200)
  })
  return router
}

const timerJson = (timer: PendingTimer) => ({ ...timer, keys: [...timer.keys] })
const pageJson = ({ timers, next }: TimerPage) => ({ timers: timers.map(timerJson), next })
