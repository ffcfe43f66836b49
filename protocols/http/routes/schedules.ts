import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AdminPort } from '../../../model/admin.ts'
import type { ScheduleOptions } from '../../../model/schedule/schedules.ts'
import { createRouter, json, jsonBody, refusals } from '../router.ts'
import { withoutGaps } from '../schemas.ts'

const tags = ['schedules']
const NAME_LENGTH_MAX = 64

const SchedulePath = z.object({
  schedule: z
    .string()
    .min(1)
    .max(NAME_LENGTH_MAX)
    .openapi({ param: { name: 'schedule', in: 'path' }, example: 'nightly-report' }),
})

const Message = z
  .strictObject({
    body: z.string().optional().openapi({ example: 'make the report' }),
    bodyBase64: z.base64().optional(),
    tag: z.string().optional(),
    keys: z.array(z.string()).optional(),
    properties: z.record(z.string(), z.string()).optional(),
    messageGroup: z.string().optional(),
  })
  .refine(
    ({ body, bodyBase64 }) => (body === undefined) !== (bodyBase64 === undefined),
    'give body or bodyBase64',
  )

const Creation = z
  .strictObject({
    name: z.string(),
    topic: z.string().openapi({ description: 'Of type DELAY or MIXED.' }),
    every: z
      .union([z.string(), z.number()])
      .optional()
      .openapi({ description: 'A span such as `10 minutes`, or ms.', example: '10 minutes' }),
    fromMs: z.number().optional().openapi({ description: 'Of `every`: where to count from.' }),
    cron: z.string().optional().openapi({ example: '0 2 * * *' }),
    timeZone: z.string().optional().openapi({ example: 'Europe/Berlin' }),
    missed: z.enum(['once', 'skip']).optional().openapi({
      description: 'Runs whose time passed while no broker ran: one is made up for, or none is.',
    }),
    message: Message,
  })
  .openapi('ScheduleCreation')

const Description = z
  .object({
    name: z.string(),
    topic: z.string(),
    rule: z.union([
      z.object({ everyMs: z.number(), fromMs: z.number() }),
      z.object({ cron: z.string(), timeZone: z.string() }),
    ]),
    missed: z.enum(['once', 'skip']),
    state: z.enum(['active', 'paused']),
    createdAtMs: z.number(),
    nextRunAtMs: z.number().optional(),
    timerId: z.string().optional().openapi({ description: 'The timer that is the next run.' }),
  })
  .openapi('Schedule')

const list = createRoute({
  method: 'get',
  path: '/schedules',
  tags,
  summary: 'Schedules, in order of name',
  request: { query: z.strictObject({ topic: z.string().max(255).optional() }) },
  responses: { 200: json(z.object({ schedules: z.array(Description) }), 'All.'), ...refusals },
})

const create = createRoute({
  method: 'post',
  path: '/schedules',
  tags,
  summary: 'Send a message again and again; the same creation twice is harmless',
  request: { body: jsonBody(Creation) },
  responses: { 201: json(Description, 'It exists, durably.'), ...refusals },
})

const describe = createRoute({
  method: 'get',
  path: '/schedules/{schedule}',
  tags,
  summary: 'One schedule',
  request: { params: SchedulePath },
  responses: { 200: json(Description, 'The schedule.'), ...refusals },
})

const pause = createRoute({
  method: 'post',
  path: '/schedules/{schedule}/pause',
  tags,
  summary: 'Cancel the next run, and plan no other',
  request: { params: SchedulePath },
  responses: { 200: json(Description, 'Paused, durably.'), ...refusals },
})

const resume = createRoute({
  method: 'post',
  path: '/schedules/{schedule}/resume',
  tags,
  summary: 'Go on with the first run after now',
  request: { params: SchedulePath },
  responses: { 200: json(Description, 'Active again, durably.'), ...refusals },
})

const end = createRoute({
  method: 'delete',
  path: '/schedules/{schedule}',
  tags,
  summary: 'Delete a schedule and its next run',
  request: { params: SchedulePath },
  responses: { 204: { description: 'Gone, durably.' }, ...refusals },
})

export const scheduleRoutes = ({ broker }: AdminPort): OpenAPIHono => {
  const router = createRouter()
  router.openapi(list, (c) => {
    const { topic } = c.req.valid('query')
    return c.json({ schedules: broker.schedules.list(topic) }, 200)
  })
  router.openapi(create, async (c) => {
    const { name, ...asked } = c.req.valid('json')
    const { body: text, bodyBase64, ...fields } = asked.message
    const message = { ...fields, body: text ?? Buffer.from(bodyBase64 ?? '', 'base64') }
    const options = { ...withoutGaps({ ...asked, message: fields }), message }
    return c.json(await broker.schedules.create(name, options as ScheduleOptions), 201)
  })
  router.openapi(describe, (c) =>
    c.json(broker.schedules.describe(c.req.valid('param').schedule), 200),
  )
  router.openapi(pause, async (c) =>
    c.json(await broker.schedules.pause(c.req.valid('param').schedule), 200),
  )
  router.openapi(resume, async (c) =>
    c.json(await broker.schedules.resume(c.req.valid('param').schedule), 200),
  )
  router.openapi(end, async (c) => {
    await broker.schedules.delete(c.req.valid('param').schedule)
    return c.body(null, 204)
  })
  return router
}
