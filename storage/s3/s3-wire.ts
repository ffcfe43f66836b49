import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { Clock } from '../../model/ports.ts'
import type { RequestKind } from '../../model/tier/requests.ts'
import type { OnRequest } from '../ports/object-store.ts'
import { breathing, Payload } from './payload.ts'
import { Received } from './received.ts'

/** What the client would have sent: as much of it as is looked at here. */
export interface HttpRequest {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string | string[] | null>>
  readonly headers: Record<string, string>
  readonly body?: unknown
}

/** What a call of the client passes along to here. */
export interface S3Call {
  readonly kind: RequestKind
  readonly key: string
  readonly abortSignal: AbortSignal
  /** The body of the answer that counted. */
  received?: Buffer
}

export interface S3WireOptions {
  readonly clock: Clock
  readonly onRequest: OnRequest | undefined
  /** From the first byte sent to the last one received. */
  readonly timeoutMs: number
  readonly connectionsMax: number
}

/**
 * The requests that really go out: every try of the client passes here, and is told of. An answer
 * is taken in whole within its try, so that one that breaks off is tried again like any other.
 */
export class S3Wire {
  readonly metadata = { handlerProtocol: 'http/1.1' }
  readonly #options: S3WireOptions
  readonly #agents: { readonly http: http.Agent; readonly https: https.Agent }

  constructor(options: S3WireOptions) {
    this.#options = options
    const agent = { keepAlive: true, maxSockets: options.connectionsMax }
    this.#agents = { http: new http.Agent(agent), https: new https.Agent(agent) }
  }

  async handle(asked: HttpRequest, passed: object = {}) {
    const call = passed as S3Call
    const { clock, onRequest } = this.#options
    const { kind, key } = call
    const startMs = clock.monotonicMs()
    const counts = { sentBytes: 0, receivedBytes: 0 }
    let ok = false
    try {
      const { status, headers, body } = await this.#exchange(asked, call, counts)
      ok = status < 300
      if (kind !== 'get' || !ok) return { response: { statusCode: status, headers, body } }
      call.received = body
      // Of what is got the client wants a stream, and makes nothing of it.
      return { response: { statusCode: status, headers, body: new Blob([]).stream() } }
    } finally {
      onRequest?.({ kind, key, ...counts, ms: clock.monotonicMs() - startMs, ok })
    }
  }

  destroy(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {}
  }

  async #exchange(asked: HttpRequest, { abortSignal }: S3Call, counts: Counts): Promise<Answer> {
    abortSignal.throwIfAborted()
    const request = this.#begin(asked)
    const { clock, timeoutMs } = this.#options
    const cancelTimeout = clock.after(timeoutMs, () => request.destroy(timedOut(timeoutMs)))
    const abort = (): void => void request.destroy(abortSignal.reason as Error)
    abortSignal.addEventListener('abort', abort, { once: true })
    try {
      return await new Promise<Answer>((resolve, reject) => {
        request.on('error', reject)
        request.on('response', (response) => {
          takeIn(asked, response, counts).then(resolve, reject)
        })
        send(request, asked.body, { counts, clock }).catch(reject)
      })
    } finally {
      cancelTimeout()
      abortSignal.removeEventListener('abort', abort)
      // Answered before it had heard everything, or not at all: nothing more is said on it.
      if (!request.writableFinished || request.destroyed) request.destroy()
    }
  }

  #begin({ protocol, hostname, port, method, path, query, headers }: HttpRequest) {
    const isTls = protocol === 'https:'
    const options = {
      ...{ method, headers, agent: isTls ? this.#agents.https : this.#agents.http },
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port ?? (isTls ? 443 : 80),
      path: `${path}${queryText(query)}`,
    }
    return isTls ? https.request(options) : http.request(options)
  }
}

interface Counts {
  sentBytes: number
  receivedBytes: number
}

interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: Buffer
}

/** The client tries again what has such a name. */
const timedOut = (timeoutMs: number): Error =>
  Object.assign(new Error(`no whole answer within ${timeoutMs} ms`), { name: 'TimeoutError' })

const send = async (
  request: http.ClientRequest,
  body: unknown,
  { counts, clock }: { readonly counts: Counts; readonly clock: Clock },
): Promise<void> => {
  const slices = body instanceof Payload ? body.slices() : bytesIn(body)
  const breathe = breathing(clock)
  for (const slice of slices) {
    if (request.destroyed) return
    counts.sentBytes += slice.length
    // A socket with room drains within the turn, so that waiting for it is no pause.
    if (!request.write(slice)) await drained(request)
    await breathe(slice.length)
  }
  request.end()
}

/** Or gone, which whoever waits for the answer hears of. */
const drained = async (request: http.ClientRequest): Promise<void> => {
  const done = new AbortController()
  const waits = ['drain', 'close'].map((event) => once(request, event, { signal: done.signal }))
  await Promise.race(waits).catch(() => {})
  done.abort()
  await Promise.allSettled(waits)
}

const bytesIn = (body: unknown): Uint8Array[] => {
  if (typeof body === 'string') return body === '' ? [] : [Buffer.from(body)]
  return body instanceof Uint8Array ? [body] : []
}

const takeIn = async (
  { method, headers: { range } }: HttpRequest,
  response: http.IncomingMessage,
  counts: Counts,
): Promise<Answer> => {
  const { statusCode: status = 0 } = response
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
  )
  const received = new Received(method === 'HEAD' ? {} : headers)
  for await (const chunk of response as AsyncIterable<Buffer>) {
    counts.receivedBytes += chunk.length
    received.add(chunk)
  }
  if (range !== undefined && status < 300) received.expectRange(range, { status, headers })
  return { status, headers, body: received.bytes() }
}

/** As it was signed. */
const queryText = (query: HttpRequest['query']): string => {
  const pairs = Object.keys(query)
    .sort()
    .flatMap((name) => {
      const value = query[name]
      const values = Array.isArray(value) ? value : [value]
      return values.map((one) => (one ? `${escaped(name)}=${escaped(one)}` : `${escaped(name)}=`))
    })
  return pairs.length > 0 ? `?${pairs.join('&')}` : ''
}

const escaped = (text: string): string =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  )
