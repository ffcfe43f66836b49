import { resolve } from 'node:path'
import { Command } from 'commander'
import { brokerTuning } from '../../settings/broker-tuning.ts'
import type { Settings } from '../../settings/schema.ts'
import { fail } from '../failure.ts'
import { settingsOf, withSettings } from '../settings-flags.ts'
import type { RunningServer, ServerStart, World } from '../world.ts'

/** `glasspost start` */
export const startCommand = (world: World): Command =>
  withSettings(
    new Command('start')
      .description('run a broker until it is stopped')
      .option('--json', 'print one ready line as JSON on stdout', false),
  )
    .addHelpText(
      'after',
      '\nEvery setting can also be a line of the file or a variable: --grpc-port is' +
        '\n{ "grpc": { "port": 8081 } } and GLASSPOST_GRPC_PORT. Flags win over variables, these' +
        '\nover the file. `glasspost config` shows what results.' +
        '\n\nExample: glasspost start --data-dir /var/lib/glasspost --auto-create-topics',
    )
    .action((_, command: Command) => start(world, command).catch(fail(world)))

const startOf = (world: World, settings: Settings): ServerStart => ({
  dataDir: resolve(settings.dataDir),
  host: settings.grpc.host,
  grpcPort: settings.grpc.port,
  httpHost: settings.http.host,
  httpPort: settings.http.port,
  ...(settings.http.adminToken === undefined ? {} : { httpToken: settings.http.adminToken }),
  brokerName: settings.brokerName,
  ...(settings.advertisedAddress === undefined
    ? {}
    : { advertisedAddress: settings.advertisedAddress }),
  autoCreateTopics: settings.topics.autoCreate,
  settings: brokerTuning(settings),
  logger: world.createLogger(settings.log.level),
})

const start = async (world: World, command: Command): Promise<void> => {
  const { settings } = await settingsOf(world, command)
  const server = await world.startServer(startOf(world, settings))
  const { drainMs } = settings.shutdown
  // Before the ready line: who reads it may stop the broker at once.
  world.onStop(() => {
    server.close({ drainMs }).then(() => world.exit(0), fail(world))
  })
  const { grpcAddress: grpc, httpAddress: http } = server
  if (command.opts()['json'] === true) world.print(JSON.stringify({ ready: true, grpc, http }))
  else for (const line of readyLines(world, settings, server)) world.print(line)
}

const readyLines = (
  world: World,
  { dataDir, topics }: Settings,
  { grpcAddress, httpAddress }: RunningServer,
): string[] => [
  `glasspost ${world.version} is ready on ${grpcAddress} (RocketMQ 5 gRPC, plaintext)`,
  `  data    ${resolve(dataDir)}`,
  `  admin   http://${httpAddress} (health, metrics, and what the other commands speak to)`,
  `  topics  ${topics.autoCreate ? 'made when a client first asks for them' : 'must exist: glasspost topic create NAME, or start with --auto-create-topics'}`,
  `  Send your first message: npm run first-message -- ${grpcAddress}`,
  `  or point any RocketMQ 5 client at ${grpcAddress}, TLS off. Stop with Ctrl-C.`,
]
