import { once } from 'node:events'
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net'
import { type ConnectionInjector, Server, ServerCredentials } from '@grpc/grpc-js'
import { Filters } from '../../model/delivery/filters.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Broker, Clock, Logger, Random } from '../../model/ports.ts'
import { Calls } from './calls.ts'
import { KnownClients } from './clients.ts'
import { type Door, grpcDoorDefaults, type GrpcDoorSettings } from './context.ts'
import { unaryMethods } from './methods.ts'
import { parseAddress } from './operations/endpoints.ts'

export interface GrpcDoorComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: Random
}

export type GrpcDoorOptions = Omit<GrpcDoorSettings, keyof typeof grpcDoorDefaults> &
  Partial<GrpcDoorSettings>

export interface GrpcDoor {
  readonly address: { readonly host: string; readonly port: number }
  /**
   * Stops accepting, answers all long polls, ends telemetry streams with OK and lets the rest
   * finish; what is left after `drainMs` is cut off. Closing twice is fine.
   */
  close(options: { readonly drainMs: number }): Promise<void>
}

const SERVICE = '/apache.rocketmq.v2.MessagingService/'
const MIB = 1_048_576

/**
 * The library's default of 4 MiB per request would refuse a legal body with its properties.
 * The pings find clients that vanished without a word, whose sessions would else live for ever.
 */
const serverOptions = {
  'grpc.max_receive_message_length': 130 * MIB,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.enable_channelz': 0,
}

/** Bytes stay bytes: operations decode, because a refusal must be a reply, not a gRPC error. */
const asIs = (bytes: Buffer): Buffer => bytes

const createGrpcServer = (calls: Calls): Server => {
  const server = new Server(serverOptions)
  for (const [name, serve] of Object.entries(unaryMethods))
    server.register(`${SERVICE}${name}`, calls.unary(serve), asIs, asIs, 'unary')
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
  { clock, logger }: GrpcDoorComponents,
  options: GrpcDoorOptions,
): Promise<GrpcDoor> => {
  const settings = { ...grpcDoorDefaults, ...options }
  const { brokerName, inFlightMax, longPollingMs, deliverAheadMsMax } = settings
  const advertised = advertisedOf(options)
  const acceptor = createServer({ noDelay: true })
  const address = await listen(acceptor, options)
  const storeHost = hostPort(advertised ?? address)
  const clients = new KnownClients()
  const door: Door = {
    broker,
    clock,
    logger,
    clients,
    filters: new Filters(),
    brokerName,
    advertised,
    storeHost,
    longPollingMs,
    deliverAheadMsMax,
  }
  const calls = new Calls(door, inFlightMax)
  const credentials = ServerCredentials.createInsecure()
  const injector = createGrpcServer(calls).createConnectionInjector(credentials)
  // We accept ourselves and hand connections over, so that what they speak can be told from
  // their first byte before the library sees them.
  const sockets = new Set<Socket>()
  acceptor.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    injector.injectConnection(socket)
  })
  logger.info({ ...address, brokerName }, 'the gRPC door is open')
  const close = closer({ acceptor, sockets, injector, calls, clock })
  return { address, close }
}

interface Parts {
  readonly acceptor: NetServer
  readonly sockets: ReadonlySet<Socket>
  readonly injector: ConnectionInjector
  readonly calls: Calls
  readonly clock: Clock
}

const closer = ({ acceptor, sockets, injector, calls, clock }: Parts): GrpcDoor['close'] => {
  let closed: Promise<void> | undefined
  return ({ drainMs }) => {
    closed ??= new Promise<void>((resolve) => {
      const cutOff = clock.after(drainMs, () => {
        for (const socket of sockets) socket.destroy()
      })
      // The acceptor closes when its last connection has ended.
      acceptor.close(() => {
        cutOff()
        resolve()
      })
      calls.endWaiting()
      injector.destroy()
    })
    return closed
  }
}
