import type { OpenAPIHono } from '@hono/zod-openapi'
import type { AdminPort } from '../../model/admin.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Logger } from '../../model/ports.ts'
import { access, type AccessSettings, bearerCheck } from './access.ts'
import { brokerErrorOf, refusalOf } from './errors.ts'
import { bodySize, type HttpLimits, requestsInFlight } from './limits.ts'
import { createRouter } from './router.ts'
import { auditRoutes } from './routes/audit.ts'
import { backupRoutes } from './routes/backup.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { groupRoutes } from './routes/groups.ts'
import { healthRoutes } from './routes/health.ts'
import { messageSearchRoutes } from './routes/message-search.ts'
import { messageRoutes } from './routes/messages.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { scheduleRoutes } from './routes/schedules.ts'
import { tierRoutes } from './routes/tier.ts'
import { timerRoutes } from './routes/timers.ts'
import { topicRoutes } from './routes/topics.ts'
import { transactionRoutes } from './routes/transactions.ts'
import { verifyRoutes } from './routes/verify.ts'

export interface AppOptions extends AccessSettings {
  readonly limits: HttpLimits
  readonly logger: Logger
  /** Aborted when the door closes: who waits is answered. */
  readonly closing: AbortSignal
}

/** One file per resource; a new one is a line here. All live under `/v1`. */
const resources: readonly ((admin: AdminPort, closing: AbortSignal) => OpenAPIHono)[] = [
  topicRoutes,
  groupRoutes,
  messageRoutes,
  messageSearchRoutes,
  deadLetterRoutes,
  timerRoutes,
  transactionRoutes,
  scheduleRoutes,
  auditRoutes,
  backupRoutes,
  verifyRoutes,
  tierRoutes,
]

/** The HTTP admin API as a function from request to answer, without a socket. */
export const createApp = (admin: AdminPort, options: AppOptions): OpenAPIHono => {
  const { logger, limits } = options
  const app = createRouter()
  app.onError((thrown, c) => {
    const error = brokerErrorOf(thrown)
    // Whoever left in the middle of a request hears nothing of it.
    if (error.kind === 'defect' && !hasLeft(thrown, c.req.raw.signal)) {
      const reason = thrown.stack ?? String(thrown)
      logger.error({ path: c.req.path, reason }, 'an HTTP request failed unexpectedly')
    }
    return refusalOf(error)
  })
  app.notFound(({ req: { method, path } }) =>
    refusalOf(new BrokerError('ROUTE_NOT_FOUND', { method, path })),
  )
  app.use(async (c, next) => {
    await next()
    // Or the connection would stay, and the closing wait for it.
    if (options.closing.aborted) c.res.headers.set('connection', 'close')
  })
  app.use(requestsInFlight(limits), access(options), bodySize(limits))
  app.route('/', healthRoutes(admin, bearerCheck(options)))
  app.route('/', metricsRoutes(admin))
  for (const routes of resources) app.route('/v1', routes(admin, options.closing))
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
  })
  app.doc31('/openapi.json', documentOf(admin))
  return app
}

const documentOf = ({ version }: AdminPort) => ({
  openapi: '3.1.0',
  info: {
    title: 'glasspost',
    version,
    description: 'Administration of a glasspost broker. Unknown fields are refused.',
  },
  security: [{ bearer: [] }, {}],
})

/** The socket may be gone before the signal says so. */
const hasLeft = (thrown: Error, { aborted }: AbortSignal): boolean =>
  aborted || (thrown as NodeJS.ErrnoException).code === 'ECONNRESET'
