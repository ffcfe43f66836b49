import type { ErrorKind } from '../../../model/errors.ts'

/** What the broker said when it refused. */
export class RefusedError extends Error {
  readonly code: string
  readonly remedy: string
  readonly kind: ErrorKind

  constructor(kind: ErrorKind, { code, message, remedy }: Refusal) {
    super(message)
    this.code = code
    this.remedy = remedy
    this.kind = kind
  }
}

/** Nobody answers, or somebody who is not a broker. */
export class UnreachableError extends Error {
  readonly code = 'UNREACHABLE'
  readonly remedy: string

  constructor(url: string, reason: string, options?: ErrorOptions) {
    super(`no broker answers at ${url}: ${reason}`, options)
    this.remedy = 'Start one with: glasspost start. Or name it with --url or GLASSPOST_URL.'
  }
}

interface Refusal {
  readonly code: string
  readonly message: string
  readonly remedy: string
}

const kindOfStatus: Readonly<Record<number, ErrorKind>> = {
  401: 'denied',
  404: 'notFound',
  409: 'conflict',
  429: 'throttled',
  500: 'defect',
  501: 'unsupported',
  503: 'unavailable',
  504: 'unavailable',
}

export interface AdminTarget {
  readonly url: string
  readonly token: string | undefined
}

export interface AdminClient {
  readonly url: string
  get<Body>(path: string, query?: Query): Promise<Body>
  /** As `get`, also when the answer is a refusal with this status. */
  getDespite<Body>(path: string, status: number): Promise<Body>
  /** The answer's bytes as they come. */
  stream(path: string, how?: StreamHow): Promise<AsyncIterable<Uint8Array>>
  post<Body>(path: string, body: unknown, signal?: AbortSignal): Promise<Body>
  patch<Body>(path: string, body: unknown): Promise<Body>
  delete(path: string): Promise<void>
}

export interface StreamHow {
  readonly method?: 'GET' | 'POST'
  readonly query?: Query
}

export type Query = Readonly<Record<string, string | number | undefined>>

interface Call {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
  readonly despite?: number
}

/** Speaks to the HTTP door of a broker. Throws `RefusedError` or `UnreachableError`. */
export const createAdminClient = ({ url, token }: AdminTarget): AdminClient => {
  const ask = async ({ method, path, body, signal }: Call): Promise<Response> => {
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const init = { method, headers, signal: signal ?? null }
    return fetch(
      `${url}${path}`,
      body === undefined ? init : { ...init, body: JSON.stringify(body) },
    ).catch((error: unknown) => {
      if (signal?.aborted) throw error
      throw new UnreachableError(url, reasonOf(error), { cause: error })
    })
  }
  const read = async <Body>(answer: Response, despite?: number): Promise<Body> => {
    const text = await answer.text()
    const parsed = text === '' ? {} : parse(text)
    if (answer.ok || answer.status === despite) return parsed as Body
    if (isRefusal(parsed)) throw new RefusedError(kindOfStatus[answer.status] ?? 'invalid', parsed)
    throw new UnreachableError(url, `something else answers there (status ${answer.status})`)
  }
  const call = async <Body>(asked: Call): Promise<Body> => read(await ask(asked), asked.despite)
  const stream = async (
    from: string,
    { method = 'GET', query = {} }: StreamHow = {},
  ): Promise<AsyncIterable<Uint8Array>> => {
    const answer = await ask({ method, path: `${from}${queryText(query)}` })
    if (!answer.ok || answer.body === null) await read<never>(answer)
    return partsOf(answer, url)
  }
  return {
    url,
    get: (path, query = {}) => call({ method: 'GET', path: `${path}${queryText(query)}` }),
    stream,
    getDespite: (path, despite) => call({ method: 'GET', path, despite }),
    post: (path, body, signal) => call({ method: 'POST', path, body, signal }),
    patch: (path, body) => call({ method: 'PATCH', path, body }),
    delete: (path) => call({ method: 'DELETE', path }),
  }
}

async function* partsOf({ body }: Response, url: string): AsyncGenerator<Uint8Array> {
  try {
    yield* body ?? []
  } catch (error) {
    throw new UnreachableError(url, `the answer was cut off (${reasonOf(error)})`, { cause: error })
  }
}

/** A path of the API; names in it may have any character. */
export const path = (parts: TemplateStringsArray, ...names: readonly (string | number)[]): string =>
  String.raw({ raw: parts }, ...names.map((name) => encodeURIComponent(name)))

const queryText = (query: Query): string => {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  return given.length === 0 ? '' : `?${given.join('&')}`
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const isRefusal = (body: unknown): body is Refusal =>
  typeof body === 'object' && body !== null && 'code' in body && 'remedy' in body

/** The reason is in the cause of what `fetch` throws, or in one of several causes. */
const reasonOf = (error: unknown): string => {
  const { cause } = error as { cause?: unknown }
  const [first] = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause]
  return first instanceof Error ? first.message : String(error)
}
