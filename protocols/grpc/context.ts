import type { Filters } from '../../model/delivery/filters.ts'
import type { Access } from '../../model/access.ts'
import type { Broker, Clock, Logger } from '../../model/ports.ts'
import type { KnownClients } from './clients.ts'
import type { GrpcMetrics } from './grpc-metrics.ts'
import type { Address } from './wire/common.ts'

export interface GrpcDoorSettings {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Told to clients in routes; keep it stable, clients compare routes by value. */
  readonly brokerName: string
  /** `host:port` told to clients; without it they are sent back to the address they used. */
  readonly advertisedAddress?: string
  /** Calls being answered at one time, long polls counted apart; more are throttled. */
  readonly inFlightMax: number
  /** How long push consumers are told to poll, in ms. Their shutdown waits for a running poll. */
  readonly longPollingMs: number
  /** How far ahead clients may schedule a message, in ms; the reference's proxy has 24 h. */
  readonly deliverAheadMsMax: number
  /** Calls and streams open at one time on one connection; clients wait with more. */
  readonly inFlightPerConnectionMax: number
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** A connection that has not said by then what it speaks is closed. */
  readonly handshakeMs: number
  /** How often a connection is asked whether anybody is still there. */
  readonly keepaliveMs: number
  readonly requestBytesMax: number
}

/** The library's default of 4 MiB per request would refuse a legal body with its properties. */
const REQUEST_BYTES_MAX = 130 * 1_048_576

export const grpcDoorDefaults = {
  inFlightMax: 10_000,
  inFlightPerConnectionMax: 4_096,
  connectionsMax: 10_000,
  connectionsPerAddressMax: 1_000,
  handshakeMs: 10_000,
  keepaliveMs: 60_000,
  requestBytesMax: REQUEST_BYTES_MAX,
  longPollingMs: 20_000,
  deliverAheadMsMax: 24 * 3_600_000,
} as const

/** What all calls of a door share. */
export interface Door {
  readonly broker: Broker
  readonly clock: Clock
  readonly logger: Logger
  readonly clients: KnownClients
  readonly metrics: GrpcMetrics
  /** Undefined where there are no accounts: then everybody may do everything. */
  readonly access: Access | undefined
  /** Warns of calls that accounts refuse, one line for many. */
  readonly logRefusal: Logger['warn']
  /** Compiled once, whichever client asks. */
  readonly filters: Filters
  readonly brokerName: string
  readonly advertised: Address | undefined
  /** The `store_host` of delivered messages. */
  readonly storeHost: string
  readonly longPollingMs: number
  readonly deliverAheadMsMax: number
}

/** One call, seen without the gRPC library. */
export interface CallContext {
  readonly door: Door
  readonly clientId: string
  /** Left to the client's deadline in ms; Infinity without one. */
  readonly remainingMs: number
  /** `host:port` that the client dialled. */
  readonly authority: string
  /** Aborted when nobody waits for the answer any more, or the door closes. */
  readonly signal: AbortSignal
  /** A header's value, '' when missing. */
  header(name: string): string
}
