import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Random } from '../../model/ports.ts'
import { requestKinds, type RequestKind } from '../../model/tier/requests.ts'
import { sleep } from './waiting.ts'

/** What can become of a request, besides its answer. */
export const faultNames = [
  /** 503, nothing done. */
  'slowDown',
  /** 500, nothing done. */
  'internalError',
  /** The connection is dropped, nothing done. */
  'reset',
  /** The connection is dropped in the middle of the answer's body. */
  'resetInBody',
  /** What is got ends early, and its length says so. */
  'truncated',
  /** Done, and the connection is dropped before the answer. */
  'answerLost',
  'wrongETag',
  'slowBody',
  /** No answer, ever; nothing done. */
  'silence',
  /** 403, nothing done. */
  'denied',
  /** 404 NoSuchBucket, nothing done. */
  'bucketGone',
] as const
export type FaultName = (typeof faultNames)[number]

/** Those that cost no time and that a next try gets over. */
export const passingFaults = faultNames.slice(0, 6)

export interface FaultDraw {
  readonly random: Random
  /** Of requests, 0 to 1. */
  readonly rate: number
  readonly among?: readonly FaultName[]
}

/** Decides what befalls the next request: what was scripted, what holds for a while, or chance. */
export class S3Faults {
  /** How often each has struck. */
  readonly struck = new Map<FaultName, number>()
  /** Set to let chance decide. */
  draw: FaultDraw | undefined
  #next: { readonly name: FaultName; readonly on: readonly RequestKind[] }[] = []
  #lasting: { readonly name: FaultName; readonly on: readonly RequestKind[] } | undefined

  constructor(draw?: FaultDraw) {
    this.draw = draw
  }

  /** The next requests (of these kinds) meet these faults, one each. */
  next(names: readonly FaultName[], on: readonly RequestKind[] = requestKinds): void {
    this.#next.push(...names.map((name) => ({ name, on })))
  }

  /** Every request (of these kinds) meets this fault until `stop`. */
  during(name: FaultName, on: readonly RequestKind[] = requestKinds): void {
    this.#lasting = { name, on }
  }

  stop(): void {
    this.#next = []
    this.#lasting = undefined
    this.draw = undefined
  }

  strike(kind: RequestKind): FaultName | undefined {
    const name = this.#pick(kind)
    if (name !== undefined) this.struck.set(name, (this.struck.get(name) ?? 0) + 1)
    return name
  }

  #pick(kind: RequestKind): FaultName | undefined {
    const index = this.#next.findIndex(({ on }) => on.includes(kind))
    if (index >= 0) return this.#next.splice(index, 1)[0]?.name
    if (this.#lasting?.on.includes(kind)) return this.#lasting.name
    if (this.draw === undefined) return undefined
    const { random, rate, among = passingFaults } = this.draw
    const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4)
    return (a * 256 + b) / 65_536 < rate ? among[(c * 256 + d) % among.length] : undefined
  }
}

export interface S3Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export const kindOf = (method: string, query: URLSearchParams): RequestKind => {
  if (method === 'GET') return query.has('list-type') ? 'list' : 'get'
  if (method === 'HEAD') return 'head'
  return method === 'DELETE' || query.has('delete') ? 'remove' : 'put'
}

const xml = (text: string): Buffer => Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`)

export const errorAnswer = (status: number, code: string): S3Answer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: xml(`<Error><Code>${code}</Code><Message>${code} it is</Message></Error>`),
})

export const xmlAnswer = (text: string): S3Answer => ({
  status: 200,
  headers: { 'content-type': 'application/xml' },
  body: xml(text),
})

const instead: Partial<Record<FaultName, S3Answer>> = {
  slowDown: errorAnswer(503, 'SlowDown'),
  internalError: errorAnswer(500, 'InternalError'),
  denied: errorAnswer(403, 'AccessDenied'),
  bucketGone: errorAnswer(404, 'NoSuchBucket'),
}

/** Answers a request, through a fault if there is one. */
export const answerThrough = async (
  fault: FaultName | undefined,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  work: () => Promise<S3Answer>,
): Promise<void> => {
  if (fault === 'silence') return
  if (fault === 'reset') return void request.socket.destroy()
  const answer = (fault && instead[fault]) ?? (await work())
  if (fault === 'answerLost') return void request.socket.destroy()
  const isGot = request.method === 'GET' && answer.status < 300
  const half = answer.body.subarray(0, answer.body.length >> 1)
  const body = fault === 'truncated' && isGot ? half : answer.body
  const etag =
    fault === 'wrongETag' && 'etag' in answer.headers ? { etag: `"${'0'.repeat(32)}"` } : {}
  const length = { 'content-length': String(body.length) }
  const isHead = request.method === 'HEAD'
  response.writeHead(answer.status, { ...(isHead ? {} : length), ...answer.headers, ...etag })
  if (fault === 'resetInBody')
    return void response.write(half, () => setImmediate(() => request.socket.destroy()))
  if (fault === 'slowBody' && !isHead) await writeSlowly(response, body)
  response.end(isHead || fault === 'slowBody' ? undefined : body)
}

const writeSlowly = async (response: ServerResponse, body: Buffer): Promise<void> => {
  const step = Math.max(1, Math.ceil(body.length / 8))
  for (let from = 0; from < body.length && !response.destroyed; from += step) {
    response.write(body.subarray(from, from + step))
    await sleep(10)
  }
}
