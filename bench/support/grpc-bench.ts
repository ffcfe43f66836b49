import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Server, ServerCredentials } from '@grpc/grpc-js'
import type { GrpcLoad, GrpcLoadDone } from './grpc-load-process.ts'
import { progress } from './row.ts'
import { median } from './stats.ts'

/** What the gRPC rows share: the clients' process, and a bare server beside ours. */
export const asIs = (bytes: Buffer): Buffer => bytes

export const pathOf = (rpc: string): string => `/apache.rocketmq.v2.MessagingService/${rpc}`

const startClients = (): ChildProcess =>
  fork(fileURLToPath(new URL('./grpc-load-process.js', import.meta.url)), [], { execArgv: [] })

export const listen = async (server: Server): Promise<string> => {
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  return `127.0.0.1:${port}`
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

export interface Turns {
  readonly load: Omit<GrpcLoad, 'address'>
  /** Beside the first one, which warms up and does not count. */
  readonly rounds: number
  readonly subjectAddress: string
  readonly peerAddress: string
}

/** Medians of rounds in which one and the other are loaded in turn. */
export const takeTurns = async ({
  load,
  rounds,
  subjectAddress,
  peerAddress,
}: Turns): Promise<{ readonly subject: Outcome; readonly peer: Outcome }> => {
  const clients = startClients()
  const ours: Outcome[] = []
  const theirs: Outcome[] = []
  for (let round = 0; round <= rounds; round++) {
    const subject = await run(clients, { ...load, address: subjectAddress })
    const peer = await run(clients, { ...load, address: peerAddress })
    if (round === 0) continue
    ours.push(subject)
    theirs.push(peer)
  }
  progress(`glasspost ${ours.map(({ rate }) => Math.round(rate)).join(' ')} msg/s`)
  progress(`empty     ${theirs.map(({ rate }) => Math.round(rate)).join(' ')} msg/s`)
  clients.disconnect()
  return { subject: middle(ours), peer: middle(theirs) }
}
