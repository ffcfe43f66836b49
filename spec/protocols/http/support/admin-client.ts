import { type GlasspostServer, type ServerOptions, startServer } from '../../../../index.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON. */
  readonly json: () => Readonly<Record<string, unknown>>
}

export interface AdminClient {
  readonly server: GlasspostServer
  readonly url: string
  /** Every request made, as `GET /v1/topics`. */
  readonly made: string[]
  readonly call: (
    request: `${string} /${string}`,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Answer>
}

/** A broker in memory with both doors open, and a client of its HTTP door. */
export const serveAdmin = async (options: Partial<ServerOptions> = {}): Promise<AdminClient> => {
  const server = await startServer({ memory: true, grpcPort: 0, ...options })
  const url = `http://${server.httpAddress}`
  const made: string[] = []
  return {
    server,
    url,
    made,
    call: async (request, body, headers = {}) => {
      const [method = '', path = ''] = request.split(' ')
      made.push(request)
      const isJson = body === undefined ? {} : { 'content-type': 'application/json' }
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: { ...isJson, ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      const { status } = answer
      return {
        status,
        headers: answer.headers,
        text,
        json: () => JSON.parse(text) as object as Readonly<Record<string, unknown>>,
      }
    },
  }
}
