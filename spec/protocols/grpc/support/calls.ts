import { Filters } from '../../../../model/delivery/filters.ts'
import type { Clock, Logger } from '../../../../model/ports.ts'
import { KnownClients } from '../../../../protocols/grpc/clients.ts'
import { GrpcMetrics } from '../../../../protocols/grpc/grpc-metrics.ts'
import type { CallContext, Door } from '../../../../protocols/grpc/context.ts'
import { SimulatedClock } from '../../../support/simulated-clock.ts'
import { FakeBroker } from './fake-broker.ts'

export interface LogLine {
  readonly level: keyof Logger
  readonly message: string
}

export const recordingLogger = (): Logger & { readonly lines: LogLine[] } => {
  const lines: LogLine[] = []
  const at = (level: keyof Logger) => (_: unknown, message: string) =>
    void lines.push({ level, message })
  return { lines, info: at('info'), warn: at('warn'), error: at('error') }
}

export const realClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (ms, task) => {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
  soon: (task) => void setImmediate(task),
}

/** A door without a server: what operations need, over a fake broker and a simulated clock. */
export const aDoor = ({ autoCreate = false } = {}) => {
  const clock = new SimulatedClock()
  const broker = new FakeBroker(clock, { autoCreate })
  const logger = recordingLogger()
  const door: Door = {
    broker,
    clock,
    logger,
    clients: new KnownClients(),
    metrics: new GrpcMetrics(broker),
    access: undefined,
    logRefusal: (fields, message) => logger.warn(fields, message),
    filters: new Filters(),
    brokerName: 'glasspost',
    advertised: undefined,
    storeHost: '127.0.0.1:8081',
    longPollingMs: 20_000,
    deliverAheadMsMax: 24 * 3_600_000,
  }
  return { door, broker, clock, logger }
}

export const aCall = (door: Door, about: Partial<CallContext> = {}): CallContext => ({
  door,
  clientId: 'client-1',
  remainingMs: 23_000,
  authority: '127.0.0.1:8081',
  signal: new AbortController().signal,
  header: () => '',
  ...about,
})
