import { once } from 'node:events'
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { answerThrough, type FaultDraw, kindOf, S3Faults, type S3Answer } from './s3-faults.ts'

/**
 * Stands in front of a real S3 endpoint and passes everything on, through the same faults as the
 * S3 server in this process. The host header is left alone, so that signatures stay valid.
 */
export const openFaultProxy = async (target: string, draw?: FaultDraw) => {
  const faults = new S3Faults(draw)
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    const url = new URL(request.url ?? '/', target)
    const fault = faults.strike(kindOf(request.method ?? '', url.searchParams))
    void answerThrough(fault, { request, response }, () => passOn(request, target)).catch(() =>
      request.socket.destroy(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    /** So far. */
    get requests() {
      return requests
    },
    close: async (): Promise<void> => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const passOn = async (request: IncomingMessage, target: string): Promise<S3Answer> => {
  const { hostname, port } = new URL(target)
  const { method, url, headers } = request
  const passed = httpRequest({ hostname, port, method, path: url, headers })
  // Whoever sends may be gone in the middle of a body.
  request.once('close', () => {
    if (!request.complete) passed.destroy()
  })
  passed.on('error', () => {})
  request.pipe(passed)
  const [answer] = (await once(passed, 'response')) as [IncomingMessage]
  const kept = Object.entries(answer.headers).flatMap(([name, value]) =>
    typeof value === 'string' && name !== 'transfer-encoding' && name !== 'connection'
      ? [[name, value] as const]
      : [],
  )
  const body = await buffer(answer)
  const { 'content-length': length, ...rest } = Object.fromEntries(kept)
  const isHead = method === 'HEAD' && length !== undefined
  const answered = isHead ? { ...rest, 'content-length': length } : rest
  return { status: answer.statusCode ?? 502, headers: answered, body }
}
