#!/usr/bin/env node
import { startServer, VERSION } from './index.ts'
import { createProgram } from './protocols/cli/program.ts'
import type { World } from './protocols/cli/world.ts'
import { createLogger } from './protocols/system/pino-logger.ts'

const world: World = {
  version: VERSION,
  environment: process.env,
  startServer,
  createLogger,
  print: (line) => void process.stdout.write(`${line}\n`),
  complain: (line) => void process.stderr.write(`${line}\n`),
  exit: (code) => process.exit(code),
  onStop: (stop) => {
    const first = (): void => {
      process.once('SIGINT', () => process.exit(1)).once('SIGTERM', () => process.exit(1))
      stop()
    }
    process.once('SIGINT', first).once('SIGTERM', first)
  },
}

createProgram(world).parse()
