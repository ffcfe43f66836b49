import { Server, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js'
import { startServer, systemClock } from '../index.ts'
import { grpcDoorDefaults } from '../protocols/grpc/context.ts'
import { OK } from '../protocols/grpc/wire/common.ts'
import { decodeSendMessage, sendMessageResponse } from '../protocols/grpc/wire/send-message.ts'
import { createTopics } from './support/brokers.ts'
import { asIs, listen, pathOf, takeTurns } from './support/grpc-bench.ts'
import { withDirectory } from './support/places.ts'
import { type Measure, runRow } from './support/row.ts'

/**
 * SendMessage of 1 KiB through the gRPC door beside a handler that only decodes and answers, in
 * one process; the clients are another. On two cores the clients are often the limit, so the
 * server's CPU time per message is compared as well.
 */
const TOPIC = 'sent'

/** The same codec, no broker. */
const openEmptyDoor = async (): Promise<{ address: string; close: () => void }> => {
  const server = new Server({ 'grpc.enable_channelz': 0 })
  const handle = (
    { request }: ServerUnaryCall<Buffer, Buffer>,
    respond: sendUnaryData<Buffer>,
  ): void => {
    const { messages } = decodeSendMessage(request, {
      nowMs: systemClock.wallMs(),
      aheadMsMax: grpcDoorDefaults.deliverAheadMsMax,
    })
    const entries = messages.map(({ messageId }) => ({
      status: OK,
      messageId,
      transactionId: messageId,
      offset: 0,
      recallHandle: '',
    }))
    respond(null, sendMessageResponse.encode({ status: OK, entries }))
  }
  server.register(pathOf('SendMessage'), handle, asIs, asIs, 'unary')
  return { address: await listen(server), close: () => server.forceShutdown() }
}

const percent = (share: number): number => 100 * share

await runRow('grpc-send', ({ quick, messages = quick ? 15_000 : 60_000 }) =>
  withDirectory(async (dataDir) => {
    const server = await startServer({ dataDir, grpcPort: 0 })
    await createTopics(server.broker, [TOPIC])
    const empty = await openEmptyDoor()
    const rounds = quick ? 5 : 9
    const { subject, peer } = await takeTurns({
      load: { kind: 'send', topic: TOPIC, messages },
      rounds,
      subjectAddress: server.grpcAddress,
      peerAddress: empty.address,
    })
    empty.close()
    await server.close()
    const measures: Measure[] = [
      { name: 'glasspost', value: subject.rate, unit: 'msg/s' },
      { name: 'empty handler', value: peer.rate, unit: 'msg/s' },
      {
        name: 'share of the empty handler, rate',
        value: percent(subject.rate / peer.rate),
        unit: '%',
        budget: { atLeast: 75 },
      },
      { name: 'glasspost, CPU of the server', value: subject.cpuUs, unit: 'µs/msg' },
      { name: 'empty handler, CPU of the server', value: peer.cpuUs, unit: 'µs/msg' },
      {
        name: 'share of the empty handler, messages per CPU second',
        value: percent(peer.cpuUs / subject.cpuUs),
        unit: '%',
      },
    ]
    return {
      measures,
      notes: [
        '2 bare grpc-js clients × 64 calls in flight in another process; medians of interleaved',
        "rounds; the server's CPU time counts all its threads, so for glasspost also the disk's",
      ],
    }
  }),
)
