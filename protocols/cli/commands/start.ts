import { join, resolve } from 'node:path'
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

const tlsOf = ({ mode, certFile, keyFile }: Settings['tls']): Pick<ServerStart, 'tls'> => {
  if (mode === 'off') return {}
  if (certFile === undefined || keyFile === undefined) return { tls: { mode } }
  return { tls: { mode, files: { certFile: resolve(certFile), keyFile: resolve(keyFile) } } }
}

const tierOf = ({ tier, tierDirectory, dataDir, s3 }: Settings): ServerStart['tier'] => {
  if (tier === 'off') return 'off'
  const { bucket } = s3
  if (tier === 's3' && bucket !== undefined) return { s3: { ...s3, bucket } }
  return { directory: resolve(tierDirectory ?? join(dataDir, 'tier')) }
}

const startOf = (world: World, settings: Settings): ServerStart => {
  const { host, port, ...grpc } = settings.grpc
  const { http, accounts, advertisedAddress } = settings
  return {
    dataDir: resolve(settings.dataDir),
    host,
    grpcPort: port,
    httpHost: http.host,
    httpPort: http.port,
    ...(http.adminToken === undefined ? {} : { httpToken: http.adminToken }),
    brokerName: settings.brokerName,
    ...(advertisedAddress === undefined ? {} : { advertisedAddress }),
    autoCreateTopics: settings.topics.autoCreate,
    ...tlsOf(settings.tls),
    ...(accounts.file === undefined ? {} : { accountsFile: resolve(accounts.file) }),
    reloadMs: settings.reloadMs,
    tier: tierOf(settings),
    grpc,
    settings: brokerTuning(settings),
    logger: world.createLogger(settings.log.level),
  }
}

const start = async (world: World, command: Command): Promise<void> => {
  const { settings } = await settingsOf(world, command)
  const options = startOf(world, settings)
  const { logger } = options
  const server = await world.startServer(options)
  const { drainMs } = settings.shutdown
  const { version } = world
  // Before the ready line: who reads it may stop the broker at once.
  world.onStop(() => {
    logger.info({ drainMs }, 'stopping')
    server.close({ drainMs }).then(() => world.exit(0), fail(world))
  })
  world.onReload(() => void server.reload())
  logger.info({ version, dataDir: options.dataDir, drainMs }, 'started')
  if (settings.insecure) logger.warn({}, 'insecure: whoever reaches the ports may use them')
  const { grpcAddress: grpc, httpAddress: http } = server
  if (command.opts()['json'] === true) world.print(JSON.stringify({ ready: true, grpc, http }))
  else for (const line of readyLines(world, settings, server)) world.print(line)
}

const spoken = {
  off: 'plaintext',
  optional: 'plaintext and TLS',
  required: 'TLS',
} as const

const readyLines = (
  world: World,
  settings: Settings,
  { grpcAddress, httpAddress }: RunningServer,
): string[] => {
  const { dataDir, topics, tls, accounts } = settings
  const tier = tierText(tierOf(settings))
  return [
    `glasspost ${world.version} is ready on ${grpcAddress} (RocketMQ 5 gRPC, ${spoken[tls.mode]})`,
    `  data    ${resolve(dataDir)}`,
    ...(tier === undefined ? [] : [`  tier    ${tier}`]),
    `  admin   http://${httpAddress} (health, metrics, and what the other commands speak to)`,
    `  topics  ${topics.autoCreate ? 'made when a client first asks for them' : 'must exist: glasspost topic create NAME, or start with --auto-create-topics'}`,
    `  access  ${accounts.file === undefined ? 'everybody who reaches it' : `the keys of ${accounts.file}`}`,
    `  Send your first message: npm run first-message -- ${grpcAddress}`,
    `  or point any RocketMQ 5 client at ${grpcAddress}. Stop with Ctrl-C.`,
  ]
}

const tierText = (tier: ServerStart['tier']): string | undefined => {
  if (tier === 'off') return undefined
  if ('directory' in tier) return `${tier.directory} (history that the log need not keep)`
  const { bucket, prefix, endpoint = 'Amazon S3' } = tier.s3
  return `s3://${bucket}${prefix === undefined ? '' : `/${prefix}`} at ${endpoint}`
}
