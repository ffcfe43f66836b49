import { destination, pino } from 'pino'
import type { Logger } from '../../model/ports.ts'

/** Structured lines on stderr, so that stdout stays for what people and scripts asked for. */
export const createLogger = (level: string): Logger =>
  pino({ level, base: null }, destination({ fd: 2, sync: true }))
