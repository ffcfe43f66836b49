import {
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status as grpcStatus,
} from '@grpc/grpc-js'
import { BrokerError } from '../../model/errors.ts'
import { type CallRecord, codeIn } from './call-record.ts'
import type { CallContext, Door } from './context.ts'
import { serveReceive, type Unary } from './methods.ts'
import { TelemetryStream } from './operations/telemetry.ts'

/** The only file that sees both the gRPC library's calls and our operations. */

type Surface = Pick<ServerUnaryCall<Buffer, Buffer>, 'metadata' | 'getDeadline' | 'getHost'>

/** A call as operations see it. Costs one small object; everything is read when asked for. */
class GrpcCall implements CallContext {
  readonly door: Door
  readonly clientId: string
  readonly signal: AbortSignal
  readonly #call: Surface

  constructor(door: Door, call: Surface, signal: AbortSignal) {
    this.door = door
    this.signal = signal
    this.#call = call
    this.clientId = this.header('x-mq-client-id').trim()
  }

  get remainingMs(): number {
    return Number(this.#call.getDeadline()) - this.door.clock.wallMs()
  }

  get authority(): string {
    return this.#call.getHost()
  }

  header(name: string): string {
    const [value] = this.#call.metadata.get(name)
    return value === undefined ? '' : String(value)
  }
}

/** Calls being answered, and how many may be. */
class Gauge {
  readonly #max: number
  #count = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Counts one more; false when that is one too many. Each `enter` has its `leave`. */
  enter(): boolean {
    return ++this.#count <= this.#max
  }

  leave(): void {
    this.#count--
  }
}

/** The calls of one door: bounded while it is open, and ended when it closes. */
export class Calls {
  readonly #door: Door
  readonly #closing = new AbortController()
  readonly #unary: Gauge
  readonly #polls: Gauge
  readonly #streams: Gauge
  readonly #receives: CallRecord
  readonly #waiting = new Set<AbortController>()
  readonly #telemetry = new Set<TelemetryStream>()

  constructor(door: Door, inFlightMax: number) {
    this.#door = door
    this.#receives = door.metrics.recordOf('ReceiveMessage')
    this.#unary = new Gauge(inFlightMax)
    this.#polls = new Gauge(inFlightMax)
    this.#streams = new Gauge(inFlightMax)
  }

  /** Answers every long poll, which finds nothing, and ends every telemetry stream with OK. */
  endWaiting(): void {
    this.#closing.abort()
    for (const poll of this.#waiting) poll.abort()
    for (const stream of this.#telemetry) stream.end()
  }

  unary(name: string, serve: Unary) {
    const record = this.#door.metrics.recordOf(name)
    const { clock } = this.#door
    return (call: ServerUnaryCall<Buffer, Buffer>, respond: sendUnaryData<Buffer>): void => {
      const fromMs = clock.monotonicMs()
      record.enter()
      const admission = this.#unary.enter() ? 'admitted' : 'tooMany'
      serve(new GrpcCall(this.#door, call, this.#closing.signal), call.request, admission)
        .then((reply) => {
          const result = call.cancelled ? 'cancelled' : 'success'
          record.answered(codeIn(reply), result, clock.monotonicMs() - fromMs)
          respond(null, reply)
        })
        .catch((error: unknown) => {
          this.#door.logger.error({ error }, 'a gRPC reply could not be made')
          respond({ code: grpcStatus.INTERNAL, details: 'the reply could not be made' })
        })
        .finally(() => {
          record.leave()
          this.#unary.leave()
        })
    }
  }

  readonly receive = (call: ServerWritableStream<Buffer, Buffer>): void => {
    const poll = new AbortController()
    const { clock } = this.#door
    const record = this.#receives
    const fromMs = clock.monotonicMs()
    record.enter()
    if (this.#closing.signal.aborted) poll.abort()
    const admission = this.#polls.enter() ? 'admitted' : 'tooMany'
    this.#waiting.add(poll)
    call.on('cancelled', () => poll.abort())
    serveReceive(new GrpcCall(this.#door, call, poll.signal), call.request, admission)
      .then(({ frames, giveBack }) => {
        const result = call.cancelled ? 'cancelled' : 'success'
        record.answered(codeIn(frames[0]), result, clock.monotonicMs() - fromMs)
        if (!call.cancelled) send(call, frames, giveBack)
      })
      .catch((error: unknown) => {
        this.#door.logger.error({ error }, 'a gRPC reply could not be made')
        call.emit('error', { code: grpcStatus.INTERNAL, details: 'the reply could not be made' })
      })
      .finally(() => {
        record.leave()
        this.#polls.leave()
        this.#waiting.delete(poll)
      })
  }

  readonly telemetry = (call: ServerDuplexStream<Buffer, Buffer>): void => {
    const outlet = {
      // A client that does not read is not read from either.
      send: (command: Buffer) => {
        if (call.cancelled || call.writableEnded || call.write(command)) return
        call.pause()
        call.once('drain', () => call.resume())
      },
      end: () => call.end(),
    }
    const context = new GrpcCall(this.#door, call, this.#closing.signal)
    const stream = new TelemetryStream(context, outlet)
    const isAdmitted = this.#streams.enter()
    this.#telemetry.add(stream)
    call.on('data', (command: Buffer) => stream.receive(command))
    // Java waits without limit for this end, and Node dies of any other (RocketMQ gRPC 12.2).
    call.on('end', () => stream.end())
    call.on('cancelled', () => {
      stream.close()
      if (this.#telemetry.delete(stream)) this.#streams.leave()
    })
    if (!isAdmitted) stream.refuse(new BrokerError('THROTTLED', { reason: 'too many streams' }))
    if (this.#closing.signal.aborted) stream.end()
  }
}

/**
 * Writes a receive's frames. A stream that breaks before its last frame is out is one that
 * clients throw away whole, so then all of its messages go back.
 */
const send = (
  call: ServerWritableStream<Buffer, Buffer>,
  frames: readonly Buffer[],
  giveBack: () => void,
): void => {
  let isOut = false
  call.on('cancelled', () => {
    if (!isOut) giveBack()
  })
  const last = frames.length - 1
  frames.forEach((frame, index) => {
    if (index < last) call.write(frame)
    else
      call.write(frame, () => {
        isOut = true
      })
  })
  call.end()
}
