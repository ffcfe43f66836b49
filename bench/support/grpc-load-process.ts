import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { encodeSystem } from '../../model/message/system-block.ts'
import { putVarint, varintSize } from '../../model/wire/varint.ts'
import { filterTypes } from '../../protocols/grpc/wire/common.ts'
import { ackMessageRequest, receiveMessageRequest } from '../../protocols/grpc/wire/deliveries.ts'
import { randomSlices } from './places.ts'
import { inFlight } from './stats.ts'

/** The clients of the gRPC row: bytes in, bytes out, and as little work of their own as can be. */
export interface GrpcLoad {
  readonly kind: 'send' | 'receive'
  readonly address: string
  readonly topic: string
  readonly messages: number
}

export interface GrpcLoadDone {
  readonly messages: number
  readonly ms: number
}

const CLIENTS = 2
const CALLS_IN_FLIGHT = 64
const RECEIVES_IN_FLIGHT = 4
const BATCH = 32
const GROUP = 'readers'

const service = '/apache.rocketmq.v2.MessagingService/'
const asIs = (bytes: Buffer): Buffer => bytes
const metadata = new Metadata()
metadata.set('x-mq-client-id', 'bench')

const delimited = (field: number, bytes: Uint8Array): Buffer => {
  const head = Buffer.alloc(varintSize(field << 3) + varintSize(bytes.length))
  putVarint(head, putVarint(head, 0, (field << 3) | 2), bytes.length)
  return Buffer.concat([head, bytes])
}

// SendMessageRequest { Message messages = 1 { Resource topic = 1 { string name = 2 };
//   SystemProperties system_properties = 3; bytes body = 4 } }
const sendRequest = (topic: string, body: Buffer, index: number): Buffer => {
  const system = encodeSystem({
    messageId: `01${index.toString(16).toUpperCase().padStart(32, '0')}`,
    tag: '',
    keys: [],
    messageGroup: '',
    bornAtMs: Date.now(),
    bornHost: 'bench',
    traceContext: '',
  })
  const named = delimited(1, delimited(2, Buffer.from(topic)))
  return delimited(1, Buffer.concat([named, delimited(3, system), delimited(4, body)]))
}

const connected = (address: string): Client[] =>
  Array.from(
    { length: CLIENTS },
    () =>
      new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  )

const call = (client: Client, rpc: string, request: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(service + rpc, asIs, asIs, request, metadata, (error, reply) =>
      error ? reject(error) : resolve(reply as Buffer),
    )
  })

const body = randomSlices(1_024)

const send = async (clients: readonly Client[], { topic, messages }: GrpcLoad): Promise<number> => {
  await inFlight(messages, CLIENTS * CALLS_IN_FLIGHT, (index) =>
    call(clients[index % CLIENTS] as Client, 'SendMessage', sendRequest(topic, body(index), index)),
  )
  return messages
}

/** Where a frame of a receive stream has its receipt handle: message, system properties, handle. */
const HANDLE_PATH = [2, 3, 12]

/** Empty for the frames that hold no message. */
const handleIn = (frame: Buffer): string => {
  let bytes: Buffer | undefined = frame
  for (const field of HANDLE_PATH) bytes = bytes && fieldOf(bytes, field)
  return bytes?.toString() ?? ''
}

const fieldOf = (bytes: Buffer, wanted: number): Buffer | undefined => {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] as number
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    if ((tag & 7) === 0) varint()
    else {
      const size = varint()
      if (tag >>> 3 === wanted) return bytes.subarray(at, at + size)
      at += size
    }
  }
  return undefined
}

const receiveBatch = (client: Client, request: Buffer): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const handles: string[] = []
    const stream = client.makeServerStreamRequest(
      `${service}ReceiveMessage`,
      asIs,
      asIs,
      request,
      metadata,
      { deadline: Date.now() + 30_000 },
    )
    stream.on('data', (frame: Buffer) => {
      const handle = handleIn(frame)
      if (handle !== '') handles.push(handle)
    })
    stream.on('error', reject)
    stream.on('end', () => resolve(handles))
  })

const receive = async (
  clients: readonly Client[],
  { topic, messages }: GrpcLoad,
): Promise<number> => {
  const named = { namespace: '', name: topic }
  const group = { namespace: '', name: GROUP }
  const request = receiveMessageRequest.encode({
    group,
    messageQueue: { topic: named, id: 0, permission: 0, broker: undefined, acceptMessageTypes: [] },
    filter: { type: filterTypes.tag, expression: '*' },
    batchSize: BATCH,
    invisibleMs: 60_000,
    autoRenew: false,
    longPollingMs: 5_000,
    attemptId: undefined,
  })
  let received = 0
  const consumer = async (client: Client): Promise<void> => {
    while (received < messages) {
      const handles = await receiveBatch(client, request)
      if (handles.length === 0) throw new Error('a receive found nothing')
      received += handles.length
      const entries = handles.map((receiptHandle) => ({ messageId: '', receiptHandle }))
      await call(client, 'AckMessage', ackMessageRequest.encode({ group, topic: named, entries }))
    }
  }
  await Promise.all(
    clients.flatMap((client) => Array.from({ length: RECEIVES_IN_FLIGHT }, () => consumer(client))),
  )
  return received
}

process.on('message', (load: GrpcLoad) => {
  const work = async (): Promise<void> => {
    const clients = connected(load.address)
    const startMs = performance.now()
    const messages = await (load.kind === 'send' ? send : receive)(clients, load)
    const done: GrpcLoadDone = { messages, ms: performance.now() - startMs }
    for (const client of clients) client.close()
    process.send?.(done)
  }
  void work().catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
