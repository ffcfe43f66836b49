import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Server, ServerCredentials } from '@grpc/grpc-js'
import type { GrpcLoad, GrpcLoadDone } from './grpc-load-process.ts'
import { median } from './stats.ts'

/** What the gRPC rows share: the clients' process, and a bare server beside ours. */
export const asIs = (bytes: Buffer): Buffer => bytes

export const pathOf = (rpc: string): string => `/apache.rocketmq.v2.MessagingService/${rpc}`

export const startClients = (): ChildProcess =>
  fork(fileURLToPath(new URL('./grpc-load-process.js', import.meta.url)), [], { execArgv: [] })

export const listen = async (server: Server): Promise<string> => {
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  return `127.0.0.1:${port}`
}

export interface Outcome {
  readonly rate: number
  readonly cpuUs: number
}

/** Lets the clients work, and says what they reached and what it cost this process. */
export const run = async (clients: ChildProcess, load: GrpcLoad): Promise<Outcome> => {
  const before = process.cpuUsage()
  clients.send(load)
  const [done] = (await once(clients, 'message')) as [GrpcLoadDone]
  const { user, system } = process.cpuUsage(before)
  return { rate: (done.messages * 1_000) / done.ms, cpuUs: (user + system) / done.messages }
}

export const middle = (outcomes: readonly Outcome[]): Outcome => ({
  rate: median(outcomes.map(({ rate }) => rate)),
  cpuUs: median(outcomes.map(({ cpuUs }) => cpuUs)),
})
