import type { MiddlewareHandler } from 'hono'
import { BrokerError } from '../../model/errors.ts'

export interface HttpLimits {
  /** Requests being answered at one time, waiting receives included. */
  readonly requestsInFlightMax: number
  readonly connectionsMax: number
  /** A message of 4 MiB in base64, and its properties. */
  readonly bodyBytesMax: number
  readonly headerBytesMax: number
  /** From the first byte of a request to its last. */
  readonly requestMs: number
  readonly headersMs: number
  readonly idleMs: number
}

export const httpLimits: HttpLimits = {
  requestsInFlightMax: 256,
  connectionsMax: 1_024,
  bodyBytesMax: 6 * 2 ** 20,
  headerBytesMax: 16_384,
  requestMs: 30_000,
  headersMs: 10_000,
  idleMs: 30_000,
}

/** Refuses what is more than may be answered at one time. */
export const requestsInFlight = ({ requestsInFlightMax }: HttpLimits): MiddlewareHandler => {
  let inFlight = 0
  return async (_, next) => {
    if (inFlight >= requestsInFlightMax)
      throw new BrokerError('THROTTLED', { reason: `${requestsInFlightMax} requests in flight` })
    inFlight++
    try {
      await next()
    } finally {
      inFlight--
    }
  }
}

/** Refuses a body that is too large: by its length where it says one, else while it is read. */
export const bodySize = ({ bodyBytesMax }: HttpLimits): MiddlewareHandler => {
  const tooLarge = () => new BrokerError('REQUEST_TOO_LARGE', { what: 'body' })
  return async (c, next) => {
    if (Number(c.req.header('content-length') ?? 0) > bodyBytesMax) throw tooLarge()
    const body = c.req.header('transfer-encoding') === undefined ? null : c.req.raw.body
    if (body) {
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of body) {
        size += chunk.length
        if (size > bodyBytesMax) throw tooLarge()
        chunks.push(chunk)
      }
      const arrayBuffer = Promise.resolve(new Uint8Array(Buffer.concat(chunks)).buffer)
      Object.assign(c.req.bodyCache, { arrayBuffer })
    }
    await next()
  }
}
