import { destination, pino } from 'pino'
import type { Logger } from '../../model/ports.ts'

/** Never to be seen, should one of these ever be passed by mistake. */
const secrets = ['secretKey', 'adminToken', 'token', 'authorization', 'signature']

/**
 * Structured lines on stderr, so that stdout stays for what people and scripts asked for. An
 * `error` is told with its code, stack and causes.
 */
export const createLogger = (level: string): Logger =>
  pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
      redact: { paths: [...secrets, ...secrets.map((name) => `*.${name}`)], censor: '(hidden)' },
    },
    destination({ fd: 2, sync: true }),
  )
