import type { BenchTarget } from './bench/target.ts'
import type { BackupHeader, OnProgress, WrittenBackup } from '../../model/backup.ts'
import type { Examination, VerifyStep } from '../../model/doctor.ts'
import type { Logger } from '../../model/ports.ts'
import type { Settings } from '../settings/schema.ts'
import type { BrokerTuning } from '../settings/broker-tuning.ts'

/** A running broker, as `glasspost start` needs it. */
export interface RunningServer {
  readonly grpcAddress: string
  readonly httpAddress: string
  reload(): Promise<void>
  close(options: { readonly drainMs: number }): Promise<void>
}

export interface GrpcLimits {
  readonly inFlightMax: number
  readonly inFlightPerConnectionMax: number
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly requestBytesMax: number
  readonly handshakeMs: number
  readonly keepaliveMs: number
  readonly longPollingMs: number
  readonly deliverAheadMsMax: number
}

export interface ServerStart {
  readonly dataDir: string
  readonly host: string
  readonly grpcPort: number
  readonly httpHost: string
  readonly httpPort: number
  readonly httpToken?: string
  readonly brokerName: string
  readonly advertisedAddress?: string
  readonly autoCreateTopics: boolean
  readonly tls?: {
    readonly mode: 'optional' | 'required'
    readonly files?: { readonly certFile: string; readonly keyFile: string }
  }
  readonly accountsFile?: string
  readonly reloadMs: number
  readonly tier:
    | 'off'
    | { readonly directory: string }
    | { readonly s3: Settings['s3'] & { readonly bucket: string } }
  readonly grpc: GrpcLimits
  readonly settings: BrokerTuning
  readonly logger: Logger
}

/**
 * What commands may touch of the world outside; `cli.ts` passes it in. A command that needs more
 * gets it as a field here.
 */
export interface World {
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly startServer: (options: ServerStart) => Promise<RunningServer>
  /** Writes a backup that arrives as a stream, checked, into a new or empty directory. */
  readonly saveBackup: (
    directory: string,
    parts: AsyncIterable<Uint8Array>,
    onProgress: OnProgress,
  ) => Promise<WrittenBackup>
  /** Writes objects of the tier into a new or empty directory, which is then a tier of its own. */
  readonly saveObjects: (
    directory: string,
    objects: AsyncIterable<{ readonly key: string; readonly content: Uint8Array }>,
  ) => Promise<void>
  /** Makes a data directory of a backup. */
  readonly restoreBackup: (options: {
    readonly backup: string
    readonly dataDir: string
    readonly onProgress: OnProgress
  }) => Promise<BackupHeader>
  /** Looks at a data directory and what a broker with these settings needs. */
  readonly examine: (asked: {
    readonly dataDir: string
    readonly settings: Settings
  }) => Promise<Examination>
  /** Reads everything in a data directory that no broker is using. */
  readonly verify: (dataDir: string) => AsyncIterable<VerifyStep>
  /** A broker of its own in a new folder within `folder`, which goes with it. */
  readonly benchInProcess: (asked: {
    readonly name: string
    readonly queues: number
    readonly folder: string
  }) => Promise<BenchTarget>
  readonly createLogger: (level: string) => Logger
  /** One line on stdout. */
  print(line: string): void
  /** One line on stderr. */
  complain(line: string): void
  /** All of standard input. */
  input(): Promise<Buffer>
  inputLines(): AsyncIterable<string>
  wallMs(): number
  readonly monotonicMs: () => number
  sleep(ms: number): Promise<void>
  exit(code: number): never
  /** Runs once, at the first SIGINT or SIGTERM; a second signal does not wait. */
  onStop(stop: () => void): void
  /** Runs at every SIGHUP. */
  onReload(reload: () => void): void
}
