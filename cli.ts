#!/usr/bin/env node
import { resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import {
  type BrokerErrorCode,
  errorCodes,
  explain,
  isBrokerError,
  startServer,
  VERSION,
} from './index.ts'
import { createLogger } from './protocols/system/pino-logger.ts'

interface StartFlags {
  readonly dataDir: string
  readonly host: string
  readonly grpcPort: number
  readonly brokerName: string
  readonly advertisedAddress?: string
  readonly autoCreateTopics: boolean
  readonly json: boolean
  readonly logLevel: string
}

const PORT_MAX = 65_535
const DRAIN_MS = 5_000

const port = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > PORT_MAX)
    throw new InvalidArgumentError(`Give a port from 0 (any free one) to ${PORT_MAX}.`)
  return value
}

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const start = async (flags: StartFlags): Promise<void> => {
  const dataDir = resolve(flags.dataDir)
  const server = await startServer({ ...flags, dataDir, logger: createLogger(flags.logLevel) })
  const { grpcAddress } = server
  const stop = (): void => {
    // A second signal does not wait.
    process.once('SIGINT', () => process.exit(1)).once('SIGTERM', () => process.exit(1))
    server.close({ drainMs: DRAIN_MS }).then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    )
  }
  // Before the ready line: who reads it may stop the broker at once.
  process.once('SIGINT', stop).once('SIGTERM', stop)
  if (flags.json) print(JSON.stringify({ ready: true, grpc: grpcAddress }))
  else for (const line of readyLines({ ...flags, dataDir, grpcAddress })) print(line)
}

const readyLines = (flags: {
  dataDir: string
  grpcAddress: string
  autoCreateTopics: boolean
}): string[] => [
  `glasspost ${VERSION} is ready on ${flags.grpcAddress} (RocketMQ 5 gRPC, plaintext)`,
  `  data    ${flags.dataDir}`,
  `  topics  ${flags.autoCreateTopics ? 'made when a client first asks for them' : 'must exist: start with --auto-create-topics to have them made'}`,
  `  Send your first message: npm run first-message -- ${flags.grpcAddress}`,
  `  or point any RocketMQ 5 client at ${flags.grpcAddress}, TLS off. Stop with Ctrl-C.`,
]

const knownCode = (text: string): BrokerErrorCode => {
  const known = errorCodes.find((name) => name === text.toUpperCase())
  if (known === undefined) throw new InvalidArgumentError(`Codes are: ${errorCodes.join(', ')}`)
  return known
}

const explainCode = (code: BrokerErrorCode): void => {
  const { kind, remedy } = explain(code)
  print(`${code} (${kind})\n  ${remedy}`)
}

const fail = (error: unknown): never => {
  const text = isBrokerError(error)
    ? `${error.message}\n  ${error.remedy} (${error.code})`
    : String(error instanceof Error ? (error.stack ?? error.message) : error)
  process.stderr.write(`glasspost: ${text}\n`)
  process.exit(1)
}

const program = new Command('glasspost')
  .description('A RocketMQ 5 compatible broker that never loses, leaks or hides a message')
  .version(VERSION)
  .showHelpAfterError()

program
  .command('start')
  .description('run a broker until it is stopped')
  .option('--data-dir <dir>', 'where everything is kept; created when missing', 'glasspost-data')
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--grpc-port <port>', 'port for RocketMQ 5 clients; 0 takes any free one', port, 8081)
  .option('--broker-name <name>', 'the name that clients see', 'glasspost')
  .option('--advertised-address <host:port>', 'where clients are sent (default: where they came)')
  .option('--auto-create-topics', 'make unknown topics when a client asks for their route', false)
  .option('--json', 'print one ready line as JSON on stdout', false)
  .addOption(
    new Option('--log-level <level>', 'what goes to stderr')
      .choices(['silent', 'error', 'warn', 'info', 'debug'])
      .default('warn'),
  )
  .addHelpText(
    'after',
    '\nExample: glasspost start --data-dir /var/lib/glasspost --auto-create-topics',
  )
  .action((flags: StartFlags) => start(flags).catch(fail))

program
  .command('explain')
  .description('what an error code means, and what to do')
  .argument('<code>', 'such as TOPIC_NOT_FOUND', knownCode)
  .action(explainCode)

program.parse()
