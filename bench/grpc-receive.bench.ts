import {
  Client,
  credentials,
  Metadata,
  Server,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js'
import { startServer } from '../index.ts'
import { filterTypes, OK } from '../protocols/grpc/wire/common.ts'
import {
  ackMessageRequest,
  ackMessageResponse,
  receiveMessageRequest,
} from '../protocols/grpc/wire/deliveries.ts'
import { createTopics, fill } from './support/brokers.ts'
import { asIs, listen, pathOf, takeTurns } from './support/grpc-bench.ts'
import { withDirectory } from './support/places.ts'
import { progress, runRow } from './support/row.ts'

/**
 * ReceiveMessage streams of 32 messages of 1 KiB, each batch acknowledged in one call, beside
 * handlers that write the same frames from memory and acknowledge without looking.
 */
const TOPIC = 'stored'

/** One real answer, frame by frame. */
const framesOf = (address: string): Promise<Buffer[]> => {
  const client = new Client(address, credentials.createInsecure())
  const metadata = new Metadata()
  metadata.set('x-mq-client-id', 'bench')
  const request = receiveMessageRequest.encode({
    group: { namespace: '', name: 'sampler' },
    messageQueue: {
      topic: { namespace: '', name: TOPIC },
      ...{ id: 0, permission: 0, broker: undefined, acceptMessageTypes: [] },
    },
    filter: { type: filterTypes.tag, expression: '*' },
    ...{ batchSize: 32, invisibleMs: 60_000, autoRenew: false, longPollingMs: 5_000 },
    attemptId: undefined,
  })
  const call = client.makeServerStreamRequest(
    pathOf('ReceiveMessage'),
    asIs,
    asIs,
    request,
    metadata,
    { deadline: Date.now() + 30_000 },
  )
  const frames: Buffer[] = []
  return new Promise((resolve, reject) => {
    call.on('data', (frame: Buffer) => frames.push(frame))
    call.on('error', reject)
    call.on('end', () => {
      client.close()
      resolve(frames)
    })
  })
}

const openEmptyDoor = async (frames: readonly Buffer[]) => {
  const server = new Server({ 'grpc.enable_channelz': 0 })
  const stream = (call: ServerWritableStream<Buffer, Buffer>): void => {
    receiveMessageRequest.decode(call.request)
    for (const frame of frames) call.write(frame)
    call.end()
  }
  const ack = (
    { request }: ServerUnaryCall<Buffer, Buffer>,
    respond: sendUnaryData<Buffer>,
  ): void => {
    const { entries } = ackMessageRequest.decode(request)
    const results = entries.map((entry) => ({ ...entry, status: OK }))
    respond(null, ackMessageResponse.encode({ status: OK, entries: results }))
  }
  server.register(pathOf('ReceiveMessage'), stream, asIs, asIs, 'serverStream')
  server.register(pathOf('AckMessage'), ack, asIs, asIs, 'unary')
  return { address: await listen(server), close: () => server.forceShutdown() }
}

await runRow('grpc-receive', ({ quick, messages = quick ? 20_000 : 60_000 }) =>
  withDirectory(async (dataDir) => {
    const server = await startServer({ dataDir, grpcPort: 0 })
    await createTopics(server.broker, [TOPIC])
    const rounds = quick ? 5 : 9
    const stored = (rounds + 2) * messages
    progress(`storing ${stored} messages`)
    await fill(server.broker, { topics: [TOPIC], messages: stored, bodyBytes: 1_024 })
    const empty = await openEmptyDoor(await framesOf(server.grpcAddress))
    const { subject, peer } = await takeTurns({
      load: { kind: 'receive', topic: TOPIC, messages },
      rounds,
      subjectAddress: server.grpcAddress,
      peerAddress: empty.address,
    })
    empty.close()
    await server.close()
    return {
      measures: [
        { name: 'glasspost', value: subject.rate, unit: 'msg/s' },
        { name: 'empty stream', value: peer.rate, unit: 'msg/s' },
        {
          name: 'share of the empty stream, rate',
          value: (100 * subject.rate) / peer.rate,
          unit: '%',
        },
        { name: 'glasspost, CPU of the server', value: subject.cpuUs, unit: 'µs/msg' },
        { name: 'empty stream, CPU of the server', value: peer.cpuUs, unit: 'µs/msg' },
      ],
      notes: [
        '2 bare grpc-js clients × 4 streams of 32 in another process, each batch acknowledged in one',
        'call; the empty stream writes the frames of one real answer again and again; medians of',
        'interleaved rounds',
      ],
    }
  }),
)
