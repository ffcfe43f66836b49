import { once } from 'node:events'
import { type Server, STATUS_CODES } from 'node:http'
import { type AddressInfo, BlockList, isIP, isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'
import { createAdaptorServer } from '@hono/node-server'
import type { AdminPort } from '../../model/admin.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import { createApp } from './app.ts'
import { type HttpLimits, httpLimits } from './limits.ts'

export interface HttpDoorComponents {
  readonly clock: Clock
  readonly logger: Logger
}

export interface HttpDoorOptions {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** What requests must bear; missing lets everybody in who can reach the port. */
  readonly token?: string
  readonly limits?: Partial<HttpLimits>
}

export interface HttpDoor {
  readonly address: { readonly host: string; readonly port: number }
  /** Stops accepting, answers who waits, lets the rest finish, and cuts it off after `drainMs`. */
  close(options: { readonly drainMs: number }): Promise<void>
}

/** How often connections are held against their limits of time. */
const CHECK_MS = 5_000

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

const isLoopback = (host: string): boolean =>
  host === 'localhost' || (isIP(host) > 0 && loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4'))

/** Opens the HTTP door of a broker: administration, health and metrics on a port of their own. */
export const openHttpDoor = async (
  admin: AdminPort,
  { clock, logger }: HttpDoorComponents,
  { host, port, token, ...options }: HttpDoorOptions,
): Promise<HttpDoor> => {
  const limits = { ...httpLimits, ...options.limits }
  const closing = new AbortController()
  const access = { token, isLocal: isLoopback(host) }
  const app = createApp(admin, { ...access, limits, logger, closing: closing.signal })
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    serverOptions: {
      requestTimeout: limits.requestMs,
      headersTimeout: limits.headersMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: Math.min(CHECK_MS, limits.headersMs),
      maxHeaderSize: limits.headerBytesMax,
      noDelay: true,
    },
  }) as Server
  server.maxConnections = limits.connectionsMax
  server.on('clientError', answerUnreadable)
  server.listen({ host, port })
  await once(server, 'listening')
  const { address, port: bound } = server.address() as AddressInfo
  logger.info({ host: address, port: bound }, 'the HTTP door is open')
  return { address: { host: address, port: bound }, close: closer({ server, closing, clock }) }
}

/** What no request could be made of is refused in the same form, and the connection ends. */
const answerUnreadable = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const isLarge = error.code === 'HPE_HEADER_OVERFLOW'
  const refusal = isLarge
    ? new BrokerError('REQUEST_TOO_LARGE', { what: 'head' })
    : new BrokerError('REQUEST_ILLEGAL', { reason: isLate ? 'it took too long' : error.message })
  const { code, message, remedy } = refusal
  const body = JSON.stringify({ code, message, remedy })
  const status = isLarge ? 431 : isLate ? 408 : 400
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close`
  const type = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`
  socket.end(`${head}\r\n${type}\r\n\r\n${body}`)
}

interface Parts {
  readonly server: Server
  readonly closing: AbortController
  readonly clock: Clock
}

const closer = ({ server, closing, clock }: Parts): HttpDoor['close'] => {
  let closed: Promise<void> | undefined
  return ({ drainMs }) => {
    closed ??= new Promise<void>((resolve) => {
      const cutOff = clock.after(drainMs, () => server.closeAllConnections())
      server.close(() => {
        cutOff()
        resolve()
      })
      closing.abort()
      server.closeIdleConnections()
    })
    return closed
  }
}
