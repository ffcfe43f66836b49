import { once } from 'node:events'
import type { AddressInfo, Server as NetServer } from 'node:net'
import { type ConnectionInjector, Server, ServerCredentials } from '@grpc/grpc-js'
import { Filters } from '../../model/delivery/filters.ts'
import type { Access } from '../../model/access.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Broker, Clock, Logger, Random } from '../../model/ports.ts'
import { Calls } from './calls.ts'
import { KnownClients } from './clients.ts'
import { type Door, grpcDoorDefaults, type GrpcDoorSettings } from './context.ts'
import { type Certificate, Front, type FrontSettings } from './front.ts'
import { GrpcMetrics } from './grpc-metrics.ts'
import { guardStreams } from './guarded-streams.ts'
import { restingLog } from './resting-log.ts'
import { unaryMethods } from './methods.ts'
import { parseAddress } from './operations/endpoints.ts'

export interface GrpcDoorComponents {
  /** Who may do what; without it everybody may do everything. */
  readonly access?: Access | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Told of calls and connections; without it nobody sees them. */
  readonly metrics?: GrpcMetrics
  readonly random: Random
}

export type GrpcDoorOptions = Omit<GrpcDoorSettings, keyof typeof grpcDoorDefaults> &
  Partial<GrpcDoorSettings> &
  Pick<FrontSettings, 'tls'>

export interface GrpcDoor {
  readonly address: { readonly host: string; readonly port: number }
  /** Connections that are open now. */
  readonly connections: number
  /** New TLS connections get this certificate. Nothing happens where TLS is off. */
  renewCertificate(certificate: Certificate): void
  /**
   * Stops accepting, answers all long polls, ends telemetry streams with OK and lets the rest
   * finish; what is left after `drainMs` is cut off. Closing twice is fine.
   */
  close(options: { readonly drainMs: number }): Promise<void>
}

const KEEPALIVE_ANSWER_MS_MAX = 20_000
const SERVICE = '/apache.rocketmq.v2.MessagingService/'

/**
 * The pings find clients that vanished without a word, and connections that were reset at a
 * moment when the platform does not notice it; these would else never end.
 */
const serverOptions = (settings: GrpcDoorSettings) => ({
  'grpc.max_receive_message_length': settings.requestBytesMax,
  'grpc.max_send_message_length': -1,
  'grpc.max_concurrent_streams': settings.inFlightPerConnectionMax,
  'grpc.keepalive_time_ms': settings.keepaliveMs,
  'grpc.keepalive_timeout_ms': Math.min(settings.keepaliveMs, KEEPALIVE_ANSWER_MS_MAX),
  'grpc.enable_channelz': 0,
})

/** Bytes stay bytes: operations decode, because a refusal must be a reply, not a gRPC error. */
const asIs = (bytes: Buffer): Buffer => bytes

const createGrpcServer = (calls: Calls, settings: GrpcDoorSettings): Server => {
  const server = new Server(serverOptions(settings))
  for (const [name, serve] of Object.entries(unaryMethods))
    server.register(`${SERVICE}${name}`, calls.unary(name, serve), asIs, asIs, 'unary')
  server.register(`${SERVICE}ReceiveMessage`, calls.receive, asIs, asIs, 'serverStream')
  server.register(`${SERVICE}Telemetry`, calls.telemetry, asIs, asIs, 'bidi')
  return server
}

const hostPort = ({ host, port }: { host: string; port: number }): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

const advertisedOf = ({ advertisedAddress: text }: GrpcDoorOptions): Door['advertised'] => {
  if (text === undefined) return undefined
  const address = parseAddress(text)
  if (address !== undefined) return address
  const reason = `'${text}' is not host:port`
  throw new BrokerError('SETTINGS_ILLEGAL', { name: 'advertisedAddress', reason })
}

const listen = async (server: NetServer, { host, port }: GrpcDoorOptions) => {
  server.listen({ host, port })
  await once(server, 'listening')
  const { address, port: bound } = server.address() as AddressInfo
  return { host: address, port: bound }
}

/** Opens the gRPC door of a broker: `apache.rocketmq.v2.MessagingService` on a port of its own. */
export const openGrpcDoor = async (
  broker: Broker,
  { clock, logger, access, metrics = new GrpcMetrics(broker) }: GrpcDoorComponents,
  options: GrpcDoorOptions,
): Promise<GrpcDoor> => {
  const settings = { ...grpcDoorDefaults, ...options }
  const { brokerName, inFlightMax, longPollingMs, deliverAheadMsMax } = settings
  const advertised = advertisedOf(options)
  const front = new Front(
    { clock, logger, serve: (socket) => injector.injectConnection(socket) },
    settings,
  )
  const address = await listen(front.acceptor, options)
  const storeHost = hostPort(advertised ?? address)
  const clients = new KnownClients()
  const door: Door = {
    broker,
    clock,
    logger,
    clients,
    metrics,
    access,
    logRefusal: restingLog(clock, (fields, message) => logger.warn(fields, message)),
    filters: new Filters(),
    brokerName,
    advertised,
    storeHost,
    longPollingMs,
    deliverAheadMsMax,
  }
  const calls = new Calls(door, inFlightMax)
  const credentials = ServerCredentials.createInsecure()
  const server = createGrpcServer(calls, settings)
  const injector = server.createConnectionInjector(credentials)
  guardStreams(server, logger)
  logger.info({ ...address, brokerName }, 'the gRPC door is open')
  return {
    address,
    get connections() {
      return front.connections
    },
    renewCertificate: (certificate) => front.renew(certificate),
    close: closer({ front, injector, calls, clock }),
  }
}

interface Parts {
  readonly front: Front
  readonly injector: ConnectionInjector
  readonly calls: Calls
  readonly clock: Clock
}

const closer = ({ front, injector, calls, clock }: Parts): GrpcDoor['close'] => {
  let closed: Promise<void> | undefined
  return ({ drainMs }) => {
    closed ??= new Promise<void>((resolve) => {
      const cutOff = clock.after(drainMs, () => front.destroyAll())
      // The acceptor closes when its last connection has ended.
      front.close(() => {
        cutOff()
        resolve()
      })
      calls.endWaiting()
      injector.destroy()
    })
    return closed
  }
}
