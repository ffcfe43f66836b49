import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { port } from '../arguments.ts'
import { fail } from '../failure.ts'
import type { World } from '../world.ts'

interface StartFlags {
  readonly dataDir: string
  readonly host: string
  readonly grpcPort: number
  readonly httpPort?: number
  readonly brokerName: string
  readonly advertisedAddress?: string
  readonly autoCreateTopics: boolean
  readonly json: boolean
  readonly logLevel: string
}

const DRAIN_MS = 5_000

/** `glasspost start` */
export const startCommand = (world: World): Command =>
  new Command('start')
    .description('run a broker until it is stopped')
    .option('--data-dir <dir>', 'where everything is kept; created when missing', 'glasspost-data')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--grpc-port <port>', 'port for RocketMQ 5 clients; 0 takes any free one', port, 8081)
    .option('--http-port <port>', 'port for administration and metrics (default: 8082)', port)
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
    .action((flags: StartFlags) => start(world, flags).catch(fail(world)))

const start = async (world: World, flags: StartFlags): Promise<void> => {
  const dataDir = resolve(flags.dataDir)
  const logger = world.createLogger(flags.logLevel)
  const server = await world.startServer({ ...flags, dataDir, logger })
  const { grpcAddress, httpAddress } = server
  // Before the ready line: who reads it may stop the broker at once.
  world.onStop(() => {
    server.close({ drainMs: DRAIN_MS }).then(() => world.exit(0), fail(world))
  })
  const ready = { ready: true, grpc: grpcAddress, http: httpAddress }
  if (flags.json) world.print(JSON.stringify(ready))
  else for (const line of readyLines(world, { ...flags, ...ready, dataDir })) world.print(line)
}

interface Ready {
  readonly dataDir: string
  readonly grpc: string
  readonly http: string
  readonly autoCreateTopics: boolean
}

const readyLines = (world: World, { dataDir, grpc, http, autoCreateTopics }: Ready): string[] => [
  `glasspost ${world.version} is ready on ${grpc} (RocketMQ 5 gRPC, plaintext)`,
  `  data    ${dataDir}`,
  `  admin   http://${http} (health, metrics, and what the other commands speak to)`,
  `  topics  ${autoCreateTopics ? 'made when a client first asks for them' : 'must exist: glasspost topic create NAME, or start with --auto-create-topics'}`,
  `  Send your first message: npm run first-message -- ${grpc}`,
  `  or point any RocketMQ 5 client at ${grpc}, TLS off. Stop with Ctrl-C.`,
]
