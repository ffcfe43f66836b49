import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { Clock, Logger } from '../../model/ports.ts'
import { restingLog } from './resting-log.ts'

/** A certificate chain and its private key, PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface FrontSettings {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** A connection that has not said by then what it speaks is closed. */
  readonly handshakeMs: number
  /** Without it, TLS is not spoken. */
  readonly tls?: { readonly certificate: Certificate; readonly isRequired: boolean }
}

export interface FrontComponents {
  readonly clock: Clock
  readonly logger: Logger
  /** Takes a connection that speaks HTTP/2, in the clear or decrypted. */
  readonly serve: (socket: Socket) => void
}

const TLS_HANDSHAKE = 0x16
/** `PRI * HTTP/2.0`, with which every client begins. */
const PLAINTEXT = 0x50

/** One at a time has it, decrypted or not. */
const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`

/**
 * Accepts connections and finds out from the first byte whether they speak TLS or plain HTTP/2
 * (RocketMQ gRPC 1). Nothing is copied: the byte is put back, and the socket itself is handed on,
 * so that a plaintext connection costs no more than without us.
 */
export class Front {
  readonly acceptor: NetServer
  readonly #settings: FrontSettings
  readonly #components: FrontComponents
  readonly #tls: TlsServer | undefined
  readonly #sockets = new Set<Socket>()
  /** Those of them that have not said yet what they speak, or are still shaking hands. */
  readonly #undecided = new Map<string, Socket>()
  readonly #byAddress = new Map<string, number>()
  readonly #logRefusal: ReturnType<typeof restingLog>

  constructor(components: FrontComponents, settings: FrontSettings) {
    this.#components = components
    this.#settings = settings
    const { clock, logger } = components
    this.#logRefusal = restingLog(clock, (fields, message) => logger.warn(fields, message))
    this.#tls = settings.tls === undefined ? undefined : this.#createTls(settings.tls.certificate)
    this.acceptor = createNetServer({ noDelay: true }, (socket) => this.#accept(socket))
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** New connections get this certificate; those that are open keep theirs. */
  renew(certificate: Certificate): void {
    this.#tls?.setSecureContext({ ...certificate, minVersion: 'TLSv1.2' })
  }

  /** Takes no more connections; `closed` is called when the last one has ended. */
  close(closed: () => void): void {
    this.acceptor.close(closed)
    for (const socket of this.#undecided.values()) socket.destroy()
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #createTls(certificate: Certificate): TlsServer {
    const server = createTlsServer({
      ...certificate,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['h2'],
      handshakeTimeout: this.#settings.handshakeMs,
    })
    server.on('secureConnection', (socket) => {
      // Fatal errors of a connection are its own business; it is closed, and clients come back.
      socket.on('error', () => undefined)
      if (socket.alpnProtocol === 'h2') this.#serve(socket)
      else socket.destroy()
    })
    server.on('tlsClientError', (error, socket) => {
      this.#components.logger.info({ reason: error.message }, 'a TLS handshake failed')
      socket.destroy()
    })
    return server
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? ''
    const ofAddress = this.#byAddress.get(address) ?? 0
    const { connectionsMax, connectionsPerAddressMax } = this.#settings
    socket.on('error', () => undefined)
    if (this.#sockets.size >= connectionsMax || ofAddress >= connectionsPerAddressMax) {
      socket.resetAndDestroy()
      const connections = this.#sockets.size
      this.#logRefusal({ address, connections, ofAddress }, 'connections are refused: too many')
      return
    }
    this.#sockets.add(socket)
    this.#byAddress.set(address, ofAddress + 1)
    const peer = peerOf(socket)
    this.#undecided.set(peer, socket)
    socket.once('close', () => {
      this.#undecided.delete(peer)
      this.#forget(socket, address)
    })
    this.#peek(socket)
  }

  #forget(socket: Socket, address: string): void {
    this.#sockets.delete(socket)
    const left = (this.#byAddress.get(address) ?? 1) - 1
    if (left > 0) this.#byAddress.set(address, left)
    else this.#byAddress.delete(address)
  }

  #peek(socket: Socket): void {
    const giveUp = this.#components.clock.after(this.#settings.handshakeMs, () => socket.destroy())
    socket.once('close', giveUp)
    socket.once('readable', () => {
      giveUp()
      const head = socket.read() as Buffer | null
      // Ended before it began.
      if (head === null) socket.destroy()
      else {
        socket.unshift(head)
        this.#handOn(socket, head[0])
      }
    })
  }

  #handOn(socket: Socket, first: number | undefined): void {
    const { tls } = this.#settings
    if (first === TLS_HANDSHAKE && this.#tls !== undefined) this.#tls.emit('connection', socket)
    else if (first === PLAINTEXT && tls?.isRequired !== true) this.#serve(socket)
    else socket.destroy()
  }

  #serve(socket: Socket): void {
    this.#undecided.delete(peerOf(socket))
    this.#components.serve(socket)
  }
}
