import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Server } from '@grpc/grpc-js'
import type { Logger } from '../../model/ports.ts'

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

const http2ServersOf = (server: Server): readonly Http2Server[] => {
  // Private to the library, whose version is fixed for that reason.
  const { http2Servers } = server as unknown as { http2Servers?: ReadonlyMap<Http2Server, unknown> }
  if (http2Servers === undefined) throw new Error('the gRPC library changed; look at its streams')
  return [...http2Servers.keys()]
}

/**
 * A client may cancel a call before the library hears of it. The library then answers a stream
 * that is gone, which throws where nobody catches: one packet would end the process. Such streams
 * are dropped here, and what the library throws for one stream ends that stream only.
 */
export const guardStreams = (server: Server, logger: Logger): void => {
  for (const http2Server of http2ServersOf(server)) {
    const listeners = http2Server.listeners('stream') as OnStream[]
    http2Server.removeAllListeners('stream')
    http2Server.on('stream', (stream, headers) => {
      if (stream.destroyed || stream.closed) {
        stream.on('error', () => undefined)
        return
      }
      try {
        for (const listener of listeners) listener(stream, headers)
      } catch (error) {
        logger.error({ error }, 'a gRPC stream could not be served')
        stream.destroy()
      }
    })
  }
}
