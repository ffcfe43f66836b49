import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js'
import { startServer, systemClock } from '../index.ts'
import { grpcDoorDefaults } from '../protocols/grpc/context.ts'
import { OK } from '../protocols/grpc/wire/common.ts'
import { decodeSendMessage, sendMessageResponse } from '../protocols/grpc/wire/send-message.ts'
import { createTopics, fill } from './support/brokers.ts'
import { withDirectory } from './support/places.ts'
import type { GrpcLoad, GrpcLoadDone } from './support/grpc-load-process.ts'
import { type Measure, progress, runRow } from './support/row.ts'
import { median } from './support/stats.ts'

/**
 * SendMessage of 1 KiB through the gRPC door beside a handler that only decodes and answers, in
 * one process; the clients are another. On two cores the clients are often the limit, so the
 * server's CPU time per message is compared as well.
 */
const TOPIC = 'sent'

const asIs = (bytes: Buffer): Buffer => bytes

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
  const path = '/apache.rocketmq.v2.MessagingService/SendMessage'
  server.register(path, handle, asIs, asIs, 'unary')
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() }
}

interface Outcome {
  readonly rate: number
  readonly cpuUs: number
}

/** Lets the clients work, and says what they reached and what it cost this process. */
const run = async (clients: ChildProcess, load: GrpcLoad): Promise<Outcome> => {
  const before = process.cpuUsage()
  clients.send(load)
  const [done] = (await once(clients, 'message')) as [GrpcLoadDone]
  const { user, system } = process.cpuUsage(before)
  return { rate: (done.messages * 1_000) / done.ms, cpuUs: (user + system) / done.messages }
}

const middle = (outcomes: readonly Outcome[]): Outcome => ({
  rate: median(outcomes.map(({ rate }) => rate)),
  cpuUs: median(outcomes.map(({ cpuUs }) => cpuUs)),
})

const percent = (share: number): number => 100 * share

await runRow('grpc-send', ({ quick, messages = quick ? 15_000 : 60_000 }) =>
  withDirectory(async (dataDir) => {
    const server = await startServer({ dataDir, grpcPort: 0 })
    await createTopics(server.broker, [TOPIC, 'stored'])
    const empty = await openEmptyDoor()
    const file = fileURLToPath(new URL('./support/grpc-load-process.js', import.meta.url))
    const clients = fork(file, [], { execArgv: [] })
    const rounds = quick ? 5 : 9
    const ours: Outcome[] = []
    const theirs: Outcome[] = []
    for (let round = 0; round <= rounds; round++) {
      const load = { kind: 'send', topic: TOPIC, messages } as const
      const subject = await run(clients, { ...load, address: server.grpcAddress })
      const peer = await run(clients, { ...load, address: empty.address })
      if (round === 0) continue
      ours.push(subject)
      theirs.push(peer)
    }
    progress(`glasspost ${ours.map(({ rate }) => Math.round(rate)).join(' ')} msg/s`)
    progress(`empty     ${theirs.map(({ rate }) => Math.round(rate)).join(' ')} msg/s`)
    const stored = messages * 4
    await fill(server.broker, { topics: ['stored'], messages: stored, bodyBytes: 1_024 })
    // Not to the last, so that no receive has to wait for a message.
    const receive = { kind: 'receive', topic: 'stored', messages: stored - 1_024 } as const
    const received = await run(clients, { ...receive, address: server.grpcAddress })
    clients.disconnect()
    empty.close()
    await server.close()
    const [subject, peer] = [middle(ours), middle(theirs)]
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
      { name: 'receive streams of 32, acknowledged by batch', value: received.rate, unit: 'msg/s' },
      { name: 'receive and ack, CPU of the server', value: received.cpuUs, unit: 'µs/msg' },
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
