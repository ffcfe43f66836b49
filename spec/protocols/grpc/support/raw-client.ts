import { Client, credentials, Metadata, type StatusObject } from '@grpc/grpc-js'
import { bytesOf, service } from './official.ts'

/** A bare gRPC client that sends what it is told, bytes for bytes. */
const asIs = (bytes: Buffer): Buffer => bytes
const pathOf = (rpc: string) => `/apache.rocketmq.v2.MessagingService/${rpc}`

type Sendable = Buffer | { serializeBinary(): Uint8Array }
const toBytes = (message: Sendable): Buffer =>
  Buffer.isBuffer(message) ? message : bytesOf(message)

export class RawClient {
  readonly #client: Client
  readonly #metadata = new Metadata()

  constructor(endpoint: string, headers: Record<string, string> = { 'x-mq-client-id': 'raw-1' }) {
    this.#client = new Client(endpoint, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    })
    for (const [name, value] of Object.entries(headers)) this.#metadata.set(name, value)
  }

  /** The reply's bytes; rejects with gRPC's own error. */
  unary(rpc: string, request: Sendable, deadlineMs = 10_000): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + deadlineMs }
      this.#client.makeUnaryRequest(
        pathOf(rpc),
        asIs,
        asIs,
        toBytes(request),
        this.#metadata,
        options,
        (error, reply) => (error ? reject(error) : resolve(reply ?? Buffer.alloc(0))),
      )
    })
  }

  /** Code and message of a reply whose first field is a status, as all have. */
  async status(rpc: string, request: Sendable): Promise<{ code: number; message: string }> {
    const reply = await this.unary(rpc, request)
    const status = service.HeartbeatResponse.deserializeBinary(reply).getStatus()
    return { code: status?.getCode() ?? 0, message: status?.getMessage() ?? '' }
  }

  receive(request: Sendable, deadlineMs = 23_000) {
    const options = { deadline: Date.now() + deadlineMs }
    const bytes = toBytes(request)
    return this.#client.makeServerStreamRequest(
      pathOf('ReceiveMessage'),
      asIs,
      asIs,
      bytes,
      this.#metadata,
      options,
    )
  }

  telemetry() {
    return this.#client.makeBidiStreamRequest<Buffer, Buffer>(
      pathOf('Telemetry'),
      asIs,
      asIs,
      this.#metadata,
    )
  }

  close(): void {
    this.#client.close()
  }
}

type Frames = ReturnType<RawClient['receive']>

/** All frames of a receive, by what they hold, and how gRPC ended it. */
export const framesOf = (stream: Frames) =>
  new Promise<{ frames: string[]; messages: Buffer[]; code: number; grpc: number }>((resolve) => {
    const frames: string[] = []
    const messages: Buffer[] = []
    let code = 0
    stream.on('data', (bytes: Buffer) => {
      const response = service.ReceiveMessageResponse.deserializeBinary(bytes)
      const status = response.getStatus()
      if (status !== undefined) {
        frames.push(status.getMessage())
        code = status.getCode()
      } else if (response.hasMessage()) {
        frames.push('message')
        messages.push(bytes)
      } else if (response.hasDeliveryTimestamp()) frames.push('time')
    })
    stream.on('error', () => undefined)
    stream.on('status', (status: StatusObject) =>
      resolve({ frames, messages, code, grpc: status.code }),
    )
  })

/** All commands of a telemetry stream, and how gRPC ended it. */
export const telemetryOf = (stream: ReturnType<RawClient['telemetry']>) =>
  new Promise<{ commands: InstanceType<typeof service.TelemetryCommand>[]; grpc: number }>(
    (resolve) => {
      const commands: InstanceType<typeof service.TelemetryCommand>[] = []
      stream.on('data', (bytes: Buffer) =>
        commands.push(service.TelemetryCommand.deserializeBinary(bytes)),
      )
      stream.on('error', () => undefined)
      stream.on('status', ({ code }: StatusObject) => resolve({ commands, grpc: code }))
    },
  )
