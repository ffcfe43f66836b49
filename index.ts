import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { InspectionEvent, Observer } from 'xstate'
import { audit } from './actors/audit/audit.ts'
import { verifyBroker } from './actors/audit/verify-broker.ts'
import { backup } from './actors/backup/backup.ts'
import { CoreBroker } from './actors/broker/broker.ts'
import { brokerSettingsOf, type SomeBrokerSettings } from './actors/broker/settings.ts'
import { BrokerMetrics } from './actors/metrics/broker-metrics.ts'
import { tierOff } from './actors/tier/tier-off.ts'
import { namespaceOf } from './actors/tier/tier.ts'
import { TierAdmin } from './actors/tier/tiering.ts'
import type { AdminPort } from './model/admin.ts'
import type { BackupHeader, OnProgress, WrittenBackup } from './model/backup.ts'
import type { Examination, VerifyStep } from './model/doctor.ts'
import { BrokerError } from './model/errors.ts'
import type { Clock, Logger, Random } from './model/ports.ts'
import type { Tiering } from './model/tier/tier-admin.ts'
import { VERSION } from './model/version.ts'
import { openTier, type TierOption } from './open-tier.ts'
import { Accounts } from './protocols/accounts/accounts.ts'
import { readAccounts } from './protocols/accounts/accounts-file.ts'
import { EmbeddedBroker } from './protocols/embedded/embedded-broker.ts'
import type { GrpcDoorSettings } from './protocols/grpc/context.ts'
import { GrpcMetrics } from './protocols/grpc/grpc-metrics.ts'
import { openGrpcDoor } from './protocols/grpc/server.ts'
import { openHttpDoor } from './protocols/http/server.ts'
import { brokerTuning } from './protocols/settings/broker-tuning.ts'
import type { Settings } from './protocols/settings/schema.ts'
import { PrometheusMetrics } from './protocols/metrics/prometheus.ts'
import { ManualClock, momentMs } from './protocols/system/manual-clock.ts'
import { processMetrics } from './protocols/system/process-metrics.ts'
import { FileWatch } from './protocols/system/file-watch.ts'
import { checkClockSteps } from './protocols/system/clock-check.ts'
import { checkPort } from './protocols/system/port-check.ts'
import { clockOf } from './protocols/system/system-clock.ts'
import { saveObjects as save, type SavedObject } from './storage/directory/save-objects.ts'
import { findBackup, readParts, writeBackup } from './storage/level/backup-file.ts'
import {
  type Certificate,
  type CertificateFiles,
  readCertificate,
  validityOf,
} from './protocols/tls/certificate.ts'
import { ownNames, selfSignedCertificate } from './protocols/tls/self-signed.ts'
import { examineDataDir } from './storage/level/examine.ts'
import { LevelPlace } from './storage/level/level-place.ts'
import { createDataDir } from './storage/level/new-data-dir.ts'
import { readBackup } from './storage/log/backup-stream.ts'
import { restoreLog } from './storage/log/restore-log.ts'
import { MemoryPlace } from './storage/memory/memory-place.ts'
import type { Place } from './storage/ports/place.ts'
import { RequestTap } from './storage/ports/request-tap.ts'
import { verify } from './storage/verify/verify.ts'

export type { BackupHeader, CopyProgress, OnProgress, WrittenBackup } from './model/backup.ts'
export type { GroupOptions, GroupSettings } from './model/addressing/group.ts'
export type {
  DeadLetter,
  DeadLetterQuery,
  DeadLetterQueue,
  OffsetReset,
  OffsetResetResult,
} from './model/delivery/administration.ts'
export type { Retention, TopicOptions, TopicSettings, TopicType } from './model/addressing/topic.ts'
export type { RetryPolicy } from './model/delivery/retry-policy.ts'
export type { ReceiptHandle } from './model/delivery/receipt-handle.ts'
export {
  BrokerError,
  type BrokerErrorCode,
  type ErrorKind,
  errorCodes,
  explain,
  isBrokerError,
} from './model/errors.ts'
export type { MessageDraft } from './model/message/encode.ts'
export type {
  MissedRuns,
  ScheduleDescription,
  ScheduleDraft,
  ScheduleOptions,
  ScheduleRule,
  Schedules,
} from './model/schedule/schedules.ts'
export type {
  Tiering,
  TierQueueStatus,
  TierResidue,
  TierStatus,
  TierStep,
  TierTopicStatus,
} from './model/tier/tier-admin.ts'
export type { Span } from './model/timer/span.ts'
export type {
  PendingTimer,
  RecallOutcome,
  RecallResult,
  TimerPage,
  TimerQuery,
  Timers,
} from './model/timer/timers.ts'
export type {
  PendingTransaction,
  TransactionChecker,
  Transactions,
} from './model/transaction/transactions.ts'
export type {
  MessageQuery,
  Messages,
  MessageTrace,
  MessageView,
  TraceStep,
} from './model/message/trace.ts'
export type {
  AuditReport,
  Broker,
  Clock,
  DeliveryCause,
  GroupDescription,
  GroupProgress,
  Groups,
  GroupSummary,
  Logger,
  QueueDescription,
  Random,
  SendReceipt,
  TopicDescription,
  Topics,
  TopicSummary,
} from './model/ports.ts'
export type { ConsumeOptions } from './protocols/embedded/consume.ts'
export type {
  EmbeddedBroker,
  ReceiveOptions,
  TestClock,
} from './protocols/embedded/embedded-broker.ts'
export type { ReadableMessage } from './protocols/embedded/readable-message.ts'
export type {
  CheckTransaction,
  Transaction,
  TransactionAnswer,
  TransactionOptions,
  TransactionState,
} from './protocols/embedded/transaction.ts'
export type { ReceivedMessage } from './protocols/embedded/received-message.ts'

export type { S3TierOptions, TierOption } from './open-tier.ts'
export type { ObjectInfo, ObjectStore, SentRequest } from './storage/ports/object-store.ts'

export { VERSION }

const writtenBy = `glasspost ${VERSION}`

export interface BrokerOptions {
  /** Where to keep everything, created when missing. Without it the broker lives in memory only. */
  readonly dataDir?: string
  /** Says so aloud that nothing is kept. Excludes `dataDir`. */
  readonly memory?: true
  /**
   * `manual`: time stands still until `broker.clock.advance('3 days')`, so that a test can see
   * what is scheduled happen. Begins now, or at `startAt`. Only with `memory: true`.
   */
  readonly clock?: 'manual' | { readonly startAt: Date | number | string }
  readonly autoCreateTopics?: boolean
  /** Where history lies that the log need not keep; default `off`. */
  readonly tier?: TierOption
  /** Quiet unless given. */
  readonly logger?: Logger
  /** Watches every actor's chart and state while it runs. */
  readonly inspect?: Observer<InspectionEvent>
  /** Bounds and periods; every one has a default. */
  readonly settings?: Omit<SomeBrokerSettings, 'autoCreateTopics'>
}

/** Time of the process. */
export const systemClock: Clock = clockOf({
  wallMs: Date.now,
  monotonicMs: () => performance.now(),
  setTimer: setTimeout,
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
  setSoon: setImmediate,
})

export const systemRandom: Random = { bytes: (size) => randomBytes(size) }

const quiet: Logger = { info: () => {}, warn: () => {}, error: () => {} }

/**
 * Opens a broker in this process.
 *
 * With `dataDir` every acknowledged message is on disk, and the directory belongs to this
 * process until `close()`; with `memory: true` nothing is kept, for tests. Rejects with
 * `DATA_DIR_LOCKED`, `DATA_FORMAT_UNKNOWN`, `CORRUPT` or `TIER_UNFIT`, each saying what to do.
 */
export const createBroker = async (options: BrokerOptions): Promise<EmbeddedBroker> =>
  (await openBroker(options)).embedded

/** The broker as a program sees it, and as an operator does. */
const openBroker = async (options: BrokerOptions & { readonly brokerName?: string }) => {
  const testClock = testClockOf(options)
  const clock = testClock ?? systemClock
  const random = systemRandom
  const { logger = quiet, inspect, autoCreateTopics = false } = options
  const place = await openPlace(options)
  const defaults = testClock ? testDefaults : {}
  const settings = brokerSettingsOf({ ...defaults, ...options.settings, autoCreateTopics })
  const owned: { close(): Promise<void> }[] = [place]
  try {
    const requests = new RequestTap()
    const store = await openTier(options.tier ?? 'off', {
      ...{ clock: systemClock, random, logger },
      ...{ dataDir: options.dataDir, namespace: namespaceOf(place.secret) },
      onRequest: requests.onRequest,
    })
    if (store !== undefined) owned.unshift(store)
    const tier = store && { store: store.store, random, requests }
    const broker = await CoreBroker.open({ clock, logger, place, inspect, tier }, settings)
    const { brokerName = 'glasspost' } = options
    const grpcMetrics = new GrpcMetrics(broker)
    const tiering = tieringOf(broker, clock)
    const tierSources = broker.tier && { tiering, tallies: broker.tier.tallies }
    const brokerMetrics = new BrokerMetrics(broker, tierSources)
    const sources = [brokerMetrics, grpcMetrics, processMetrics]
    const metrics = new PrometheusMetrics(sources, {
      clock,
      labels: { node_type: 'broker', cluster: 'DefaultCluster', node_id: brokerName },
    })
    const embedded = new EmbeddedBroker({
      broker,
      clock,
      testClock,
      random,
      logger,
      host: hostname(),
      audit: () => audit(broker, metrics, settings.reclaim.reclaimMs),
      metrics: () => metrics.text(),
      backup: (directory, onProgress) =>
        saveBackup(directory, backup(broker, { writtenBy }), onProgress),
      tiering,
      owned,
    })
    const admin: AdminPort = {
      broker,
      version: VERSION,
      refusal: () => broker.refusal,
      loops: () => broker.loops(),
      send: (topic, draft) => embedded.send(topic, draft),
      audit: () => embedded.audit(),
      metrics: () => metrics.scrape(),
      backup: () => backup(broker, { writtenBy }),
      verify: () => verifyBroker(broker),
      tiering,
    }
    return { embedded, admin, grpcMetrics }
  } catch (error) {
    for (const part of owned) await part.close()
    throw error
  }
}

const tieringOf = (broker: CoreBroker, clock: Clock): Tiering => {
  const { state, tier, tierReader } = broker
  if (tier === undefined || tierReader === undefined) return tierOff
  return new TierAdmin({ tier, state, clock, cache: () => tierReader.cache })
}

const DAYS_400 = 400 * 86_400_000

/** So that a span of days is run through in no time: nothing looks at a clock that stands still. */
const testDefaults = {
  upkeepRestMs: 3_600_000,
  timers: { jumpCheckMs: DAYS_400, nearWindowMs: DAYS_400 },
}

const testClockOf = ({ clock, memory }: BrokerOptions): ManualClock | undefined => {
  if (clock === undefined) return undefined
  if (memory !== true)
    throw new BrokerError('SETTINGS_ILLEGAL', {
      name: 'clock',
      reason: 'only a broker with memory: true can stand still',
    })
  const wallMs = clock === 'manual' ? Date.now() : momentMs(clock.startAt)
  return new ManualClock({ wallMs, setSoon: setImmediate })
}

export interface ServerOptions extends Omit<BrokerOptions, 'clock'> {
  /** Default 127.0.0.1: reachable from this machine only. */
  readonly host?: string
  /** Default 8081; 0 takes any free port. */
  readonly grpcPort?: number
  /** Default 8082, or any free port where the gRPC port is any; 0 takes any free one. */
  readonly httpPort?: number
  /** Where HTTP listens; default 127.0.0.1, whatever `host` is. */
  readonly httpHost?: string
  /** What HTTP requests must bear; without one, whoever reaches the port may do everything. */
  readonly httpToken?: string
  /** How far ahead gRPC clients may schedule, in ms; default 24 h, as the reference's proxy has. */
  readonly deliverAheadMsMax?: number
  /** What clients see as the broker's name; default `glasspost`. */
  readonly brokerName?: string
  /** `host:port` that clients are sent to; default is the address they came by. */
  readonly advertisedAddress?: string
  /** TLS on the gRPC port, beside plaintext or instead of it. Without it there is none. */
  readonly tls?: TlsOptions
  /** Access keys and what they may do, JSON. Without it everybody may do everything. */
  readonly accountsFile?: string
  /** How often certificate and accounts are looked at for changes; 0: at `reload()` only. */
  readonly reloadMs?: number
  /** Bounds of the gRPC door; every one has a default. */
  readonly grpc?: Partial<Omit<GrpcDoorSettings, 'host' | 'port' | 'brokerName'>>
}

export interface TlsOptions {
  readonly mode: 'optional' | 'required'
  /** Certificate chain and key, PEM. Without them a self-signed one is made and kept. */
  readonly files?: CertificateFiles
}

export interface GlasspostServer {
  readonly broker: EmbeddedBroker
  /** `host:port` of the gRPC door. */
  readonly grpcAddress: string
  /** `host:port` of the HTTP door. */
  readonly httpAddress: string
  /** gRPC connections that are open now. */
  readonly connections: number
  /** Reads certificate and accounts again, changed or not. What cannot be read changes nothing. */
  reload(): Promise<void>
  /** Answers who waits, finishes what is under way within `drainMs`, and closes the broker. */
  close(options?: { readonly drainMs?: number }): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const DRAIN_MS = 5_000

/** A broker with its doors open: what `glasspost start` runs. */
export const startServer = async (options: ServerOptions): Promise<GlasspostServer> => {
  const { logger = quiet, host = '127.0.0.1', brokerName = 'glasspost' } = options
  const { grpcPort = 8081, httpHost = '127.0.0.1', httpToken } = options
  const { advertisedAddress, deliverAheadMsMax } = options
  const { httpPort = grpcPort === 0 ? 0 : 8082 } = options
  const { accountsFile } = options
  const access =
    accountsFile === undefined ? undefined : new Accounts(await readAccounts(accountsFile))
  const { embedded: broker, admin, grpcMetrics } = await openBroker(options)
  const watches: FileWatch[] = []
  const open: { close(options: { readonly drainMs: number }): Promise<void> }[] = []
  const close = async ({ drainMs = DRAIN_MS } = {}): Promise<void> => {
    for (const watch of watches) watch.close()
    await Promise.all(open.map((door) => door.close({ drainMs })))
    await broker.close()
  }
  const opening = async <Door extends (typeof open)[number]>(
    wanted: { readonly host: string; readonly port: number },
    door: Promise<Door>,
  ) => {
    const opened = await door.catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      throw new BrokerError('ADDRESS_IN_USE', { address: hostPort(wanted) }, { cause: error })
    })
    open.push(opened)
    return opened
  }
  try {
    const components = { clock: systemClock, random: systemRandom, logger }
    if (accountsFile !== undefined && access !== undefined) {
      const replace = async () => access.replace(await readAccounts(accountsFile))
      watches.push(await watchFiles(options, [accountsFile], replace))
    }
    const tls = await openCertificate(options)
    const grpc = await opening(
      { host, port: grpcPort },
      openGrpcDoor(
        broker.port,
        { ...components, access, metrics: grpcMetrics },
        {
          ...{ ...options.grpc, host, port: grpcPort, brokerName },
          ...(advertisedAddress ? { advertisedAddress } : {}),
          ...(deliverAheadMsMax ? { deliverAheadMsMax } : {}),
          ...(tls ? { tls: { certificate: tls.certificate, isRequired: tls.isRequired } } : {}),
        },
      ),
    )
    if (tls?.reread !== undefined) watches.push(await tls.reread((it) => grpc.renewCertificate(it)))
    const http = await opening(
      { host: httpHost, port: httpPort },
      openHttpDoor(admin, components, {
        ...{ host: httpHost, port: httpPort },
        ...(httpToken ? { token: httpToken } : {}),
      }),
    )
    return {
      broker,
      grpcAddress: hostPort(grpc.address),
      httpAddress: hostPort(http.address),
      get connections() {
        return grpc.connections
      },
      reload: async () => {
        await Promise.all(watches.map((watch) => watch.look({ isForced: true })))
      },
      close,
      [Symbol.asyncDispose]: () => close(),
    }
  } catch (error) {
    await close({ drainMs: 0 })
    throw error
  }
}

/** Reads everything in a data directory that no broker is using, and compares it with itself. */
export async function* verifyDataDir(dataDir: string): AsyncGenerator<VerifyStep> {
  const place = await LevelPlace.open({ dataDir, random: systemRandom })
  try {
    const log = await place.openDatabase('commit-log')
    const index = await place.openDatabase('index')
    yield* verify({ log, index })
  } finally {
    await place.close()
  }
}

export interface ExamineOptions {
  readonly dataDir: string
  readonly settings: Settings
}

/** What a doctor can say from outside: about the directory, and about what a start would need. */
export const examine = async ({ dataDir, settings }: ExamineOptions): Promise<Examination> => {
  const { disk } = brokerSettingsOf(brokerTuning(settings))
  const found = await examineDataDir({ dataDir, disk, nowMs: systemClock.wallMs() })
  const { isInUse } = found
  const { grpc, http } = settings
  const checks = [
    ...found.checks,
    await checkClockSteps(systemClock),
    await checkPort({ what: 'gRPC', host: grpc.host, port: grpc.port, isInUse }),
    await checkPort({ what: 'HTTP', host: http.host, port: http.port, isInUse }),
  ]
  return { ...found, checks }
}

/** Writes a backup that arrives as a stream, every chunk checked, into a new or empty directory. */
export const saveBackup = (
  directory: string,
  parts: AsyncIterable<Uint8Array>,
  onProgress?: OnProgress,
): Promise<WrittenBackup> => writeBackup(directory, readBackup('the stream', parts), onProgress)

/** Writes objects of a tier into a new or empty directory, which is then a tier of its own. */
export const saveObjects = (
  directory: string,
  objects: AsyncIterable<SavedObject>,
): Promise<void> => save({ directory, clock: systemClock, random: systemRandom }, objects)

export interface RestoreOptions {
  /** The directory that `backup` wrote, or the file in it. */
  readonly backup: string
  /** New or empty; becomes the data directory of a broker. */
  readonly dataDir: string
  readonly onProgress?: OnProgress
}

/**
 * Makes a data directory of a backup, every chunk checked. The first start on it rebuilds the
 * index. Topics, groups, offsets and what was acknowledged are as they were; receipt handles
 * given out before are refused, because what the backup does not know may stand in their place.
 * Rejects with `BACKUP_UNUSABLE` or `TARGET_NOT_EMPTY`, and leaves nothing behind.
 */
export const restoreBackup = async (options: RestoreOptions): Promise<BackupHeader> => {
  const { dataDir, onProgress } = options
  const path = await findBackup(options.backup)
  const place = { dataDir, random: systemRandom, createdBy: VERSION }
  return createDataDir(place, async (restored) => {
    const database = await restored.openDatabase('commit-log')
    return restoreLog(readBackup(path, readParts(path)), database, onProgress)
  })
}

const RELOAD_MS = 10_000
const DAY_MS = 24 * 3_600_000
const CERTIFICATE_WARN_MS = 14 * DAY_MS

const watchFiles = (
  { logger = quiet, reloadMs: everyMs = RELOAD_MS }: ServerOptions,
  files: readonly string[],
  reload: () => Promise<void>,
): Promise<FileWatch> => FileWatch.open({ clock: systemClock, logger }, { files, everyMs, reload })

/** The certificate to begin with, and how to watch its files when there are any. */
const openCertificate = async (options: ServerOptions) => {
  const { tls, dataDir, advertisedAddress, host = '127.0.0.1', logger = quiet } = options
  if (tls === undefined) return undefined
  const { mode, files } = tls
  const isRequired = mode === 'required'
  if (files === undefined) {
    const folder = dataDir === undefined ? undefined : join(dataDir, 'tls')
    const names = ownNames([advertisedAddress?.replace(/:\d+$/, ''), host, hostname()])
    const { isNew, ...certificate } = await selfSignedCertificate({ folder, names }, systemClock)
    if (isNew) logger.info({ folder, names }, 'made a self-signed certificate')
    return { certificate, isRequired }
  }
  const read = () => readCertificate(files, systemClock.wallMs())
  const reread = (renew: (certificate: Certificate) => void): Promise<FileWatch> =>
    watchFiles(options, [files.certFile, files.keyFile], async () => renew(await read()))
  const certificate = await read()
  const leftMs = validityOf(certificate.cert).untilMs - systemClock.wallMs()
  if (leftMs < CERTIFICATE_WARN_MS)
    logger.warn({ file: files.certFile, daysLeft: Math.floor(leftMs / DAY_MS) }, 'renew it soon')
  return { certificate, isRequired, reread }
}

const hostPort = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

const openPlace = async ({ dataDir, memory }: BrokerOptions): Promise<Place> => {
  const random = systemRandom
  if ((dataDir === undefined) === (memory === undefined))
    throw new BrokerError('SETTINGS_ILLEGAL', {
      name: 'dataDir',
      reason: 'give either a directory or memory: true',
    })
  if (dataDir === undefined) return new MemoryPlace({ random })
  return LevelPlace.open({ dataDir, random, createdBy: VERSION })
}
