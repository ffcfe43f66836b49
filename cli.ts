#!/usr/bin/env node
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { VERSION } from './model/version.ts'
import { createProgram } from './protocols/cli/program.ts'
import type { World } from './protocols/cli/world.ts'
import { createLogger } from './protocols/system/pino-logger.ts'

const world: World = {
  version: VERSION,
  environment: process.env,
  // Only who starts a broker waits until all of it is loaded.
  startServer: async (options) => (await import('./index.ts')).startServer(options),
  examine: async (asked) => (await import('./index.ts')).examine(asked),
  verify: async function* (dataDir) {
    yield* (await import('./index.ts')).verifyDataDir(dataDir)
  },
  saveBackup: async (...to) => (await import('./index.ts')).saveBackup(...to),
  saveObjects: async (...to) => (await import('./index.ts')).saveObjects(...to),
  restoreBackup: async (options) => (await import('./index.ts')).restoreBackup(options),
  benchInProcess: async ({ name, queues, folder }) => {
    const { createBroker } = await import('./index.ts')
    const dataDir = await mkdtemp(join(resolve(folder), 'glasspost-bench-'))
    const broker = await createBroker({ dataDir })
    await broker.topics.create(name, { queues })
    return {
      name: `a broker in this process, in ${folder}`,
      send: async (body) => void (await broker.send(name, { body })),
      receive: async () => {
        const messages = await broker.receive({ topic: name, group: name, waitMs: 1_000 })
        return messages.map((message) => () => message.ack())
      },
      close: async () => {
        await broker.close()
        await rm(dataDir, { recursive: true })
      },
    }
  },
  createLogger,
  print: (line) => void process.stdout.write(`${line}\n`),
  complain: (line) => void process.stderr.write(`${line}\n`),
  input: () => buffer(process.stdin),
  inputLines: () => createInterface({ input: process.stdin }),
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms) => sleep(ms),
  exit: (code) => process.exit(code),
  onReload: (reload) => void process.on('SIGHUP', reload),
  onStop: (stop) => {
    const first = (): void => {
      process.once('SIGINT', () => process.exit(1)).once('SIGTERM', () => process.exit(1))
      stop()
    }
    process.once('SIGINT', first).once('SIGTERM', first)
  },
}

// Whoever read the output has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

// The gRPC library would write lines of its own, and strangers could make it write many.
process.env['GRPC_VERBOSITY'] ??= 'NONE'
// The S3 client would advertise a later Node; the version that is used here runs on this one.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'

createProgram(world).parse()
