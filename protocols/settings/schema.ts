import { z } from 'zod'
import { startPositions } from '../../model/addressing/group.ts'
import {
  choice,
  optionalAddress,
  optionalText,
  optionalUrl,
  switchable,
  text,
  whole,
} from './kinds.ts'
import { local, tiering } from './tier-schema.ts'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR
const KIB = 1_024
const MIB = 1_024 * KIB
const GIB = 1_024 * MIB
const PORT_MAX = 65_535
/** A body of 4 MiB with its properties and the request around it must fit. */
const REQUEST_BYTES_MIN = 4 * MIB + 64 * KIB

const port = (about: string, otherwise: number) =>
  whole(`port for ${about}; 0 takes any free one`, { min: 0, max: PORT_MAX, otherwise })

const grpc = z.strictObject({
  host: text('address to listen on for clients', { otherwise: '127.0.0.1', flag: '--host' }),
  port: port('RocketMQ 5 clients', 8_081),
  inFlightMax: whole('calls being answered at one time; long polls are counted apart', {
    min: 1,
    max: 1_000_000,
    otherwise: 10_000,
  }),
  inFlightPerConnectionMax: whole('calls and streams open at one time on one connection', {
    min: 16,
    max: 100_000,
    otherwise: 4_096,
  }),
  connectionsMax: whole('connections at one time', { min: 1, max: 1_000_000, otherwise: 10_000 }),
  connectionsPerAddressMax: whole('connections at one time from one IP address', {
    min: 1,
    max: 1_000_000,
    otherwise: 1_000,
  }),
  requestBytesMax: whole('size of one request', {
    min: REQUEST_BYTES_MIN,
    max: GIB,
    otherwise: 130 * MIB,
  }),
  deliverAheadMsMax: whole('how far ahead clients may schedule a message', {
    min: SECOND,
    max: 3_650 * DAY,
    otherwise: DAY,
  }),
  handshakeMs: whole('a connection that has not said by then what it speaks is closed', {
    min: 100,
    max: 600 * SECOND,
    otherwise: 10 * SECOND,
  }),
  keepaliveMs: whole('how often a connection is asked whether anybody is still there', {
    min: SECOND,
    max: HOUR,
    otherwise: 60 * SECOND,
  }),
  longPollingMs: whole('how long push consumers are told to poll; their shutdown waits for it', {
    min: 5 * SECOND,
    max: 20 * SECOND,
    otherwise: 20 * SECOND,
  }),
})

const http = z.strictObject({
  host: text('address to listen on for administration', { otherwise: '127.0.0.1' }),
  port: port('administration and metrics', 8_082),
  adminToken: optionalText('bearer token that administration asks for', {
    isSecret: true,
    lengthMin: 16,
  }),
})

const tls = z.strictObject({
  mode: choice('TLS on the gRPC port, beside plaintext or instead of it', {
    among: ['off', 'optional', 'required'],
    otherwise: 'optional',
  }),
  certFile: optionalText(
    'certificate chain, PEM; without it a self-signed one is made and kept in the data dir',
  ),
  keyFile: optionalText('private key of the certificate, PEM'),
})

const topics = z.strictObject({
  max: whole('topics in all', { min: 1, max: 1_000_000, otherwise: 20_000 }),
  autoCreate: switchable('make unknown topics when a client asks for their route', {
    flag: '--auto-create-topics',
  }),
  autoCreatedMax: whole('topics that clients may make that way', {
    min: 0,
    max: 1_000_000,
    otherwise: 1_000,
  }),
  retentionMs: whole('how long a topic keeps messages unless it says otherwise', {
    min: 1,
    max: 3_650 * DAY,
    otherwise: 72 * HOUR,
  }),
  retentionBytes: whole('how much a topic keeps unless it says otherwise; 0 means no limit', {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    otherwise: 0,
  }),
})

const timers = z.strictObject({
  horizonMs: whole('no delivery time lies further ahead, whoever asks for it', {
    min: 60 * SECOND,
    max: 3_650 * DAY,
    otherwise: 365 * DAY,
  }),
  recallMemoryMs: whole('how long it is known what became of a timer or transaction', {
    min: 60 * SECOND,
    max: 30 * DAY,
    otherwise: DAY,
  }),
})

const transactions = z.strictObject({
  checkAfterMs: whole('how long a producer is left alone with a half message', {
    min: 100,
    max: HOUR,
    otherwise: 6 * SECOND,
  }),
  checkEveryMs: whole('pause between questions about one half message', {
    min: 100,
    max: HOUR,
    otherwise: 30 * SECOND,
  }),
  checksMax: whole('questions about one half message before it is dropped', {
    min: 1,
    max: 1_000,
    otherwise: 15,
  }),
})

const receive = z.strictObject({
  unackedMax: whole('unacknowledged messages per group and queue', {
    min: 1,
    max: 1_000_000,
    otherwise: 10_000,
  }),
  unackedTotalMax: whole('unacknowledged messages of all groups together', {
    min: 1,
    max: 100_000_000,
    otherwise: 2_000_000,
  }),
  parkedPerKeyMax: whole('long polls waiting per group and topic', {
    min: 1,
    max: 1_000_000,
    otherwise: 1_024,
  }),
  parkedMax: whole('long polls waiting in all', { min: 1, max: 10_000_000, otherwise: 100_000 }),
  ackFlush: choice('whether leases and acks are answered at once, or when they are on disk', {
    among: ['async', 'sync'],
    otherwise: 'async',
  }),
})

const commitLog = z.strictObject({
  bytesMax: whole('admitted and not yet written; sends are throttled at 75 % of it', {
    min: 16 * MIB,
    max: 4 * GIB,
    otherwise: 64 * MIB,
  }),
  chunkBytes: whole('size of a chunk of the log', {
    min: 4 * KIB,
    max: 4 * MIB,
    otherwise: 64 * KIB,
  }),
  commitChunksMax: whole('chunks in one synced batch', { min: 1, max: 1_024, otherwise: 8 }),
  cacheBytes: whole('newest chunks kept in memory for consumers that keep up', {
    min: 0,
    max: 64 * GIB,
    otherwise: 64 * MIB,
  }),
  writeTimeoutMs: whole('a write that takes longer counts as failed', {
    min: 100,
    max: 3_600 * SECOND,
    otherwise: 30 * SECOND,
  }),
  outcomeDeadlineMs: whole('how long a send whose write failed may wait for its outcome', {
    min: 100,
    max: 3_600 * SECOND,
    otherwise: 10 * SECOND,
  }),
  bufferedLingerMs: whole('how long acks and leases wait for company before they are written', {
    min: 0,
    max: 10 * SECOND,
    otherwise: 10,
  }),
  roomWaitMs: whole('how long an ack waits for room in a full buffer', {
    min: 0,
    max: 60 * SECOND,
    otherwise: 2 * SECOND,
  }),
  roomWaitersMax: whole('acks that may wait for room', {
    min: 0,
    max: 1_000_000,
    otherwise: 10_000,
  }),
  backoffMsBase: whole('first pause before a failed store is reopened', {
    min: 1,
    max: 60 * SECOND,
    otherwise: 50,
  }),
  backoffMsMax: whole('longest pause before a failed store is reopened', {
    min: 1,
    max: 600 * SECOND,
    otherwise: 5 * SECOND,
  }),
})

const index = z.strictObject({
  timeoutMs: whole('a write to the index that takes longer counts as failed', {
    min: 100,
    max: 3_600 * SECOND,
    otherwise: 30 * SECOND,
  }),
  checkpointBytes: whole('a checkpoint is pressed when this much was admitted since the last', {
    min: MIB,
    max: 64 * MIB,
    otherwise: 32 * MIB,
  }),
  blockCacheBytes: whole('blocks of ConsumeQueues kept in memory', {
    min: MIB,
    max: 64 * GIB,
    otherwise: 32 * MIB,
  }),
})

const disk = z.strictObject({
  warnAtPercent: whole('warn when the disk is so full', { min: 1, max: 99, otherwise: 75 }),
  refuseAtPercent: whole('refuse sends when the disk is so full', {
    min: 2,
    max: 99,
    otherwise: 90,
  }),
  freeBytesEnough: whole('sends are never refused while so much is free, however full the disk', {
    min: GIB,
    max: Number.MAX_SAFE_INTEGER,
    otherwise: 16 * GIB,
  }),
})

const s3 = z.strictObject({
  bucket: optionalText(
    'bucket of the tier; keys come from the environment, a profile or the machine',
  ),
  prefix: optionalText('before every object in the bucket'),
  endpoint: optionalUrl('address of a service that is not Amazon’s'),
  region: optionalText('region of the bucket; without it from the environment or a profile'),
  forcePathStyle: switchable('name the bucket in the path, as most services but Amazon’s want it'),
  attemptsMax: whole('tries of one request before it counts as failed', {
    min: 1,
    max: 10,
    otherwise: 3,
  }),
  timeoutMs: whole('one try of a request, from its first byte to the last one of its answer', {
    min: SECOND,
    max: HOUR,
    otherwise: 60 * SECOND,
  }),
})

/** Everything an operator can set. A section is an object in the file and a prefix elsewhere. */
export const settingsSchema = z.strictObject({
  dataDir: text('where everything is kept; created when missing', { otherwise: 'glasspost-data' }),
  brokerName: text('the name that clients see; keep it stable', { otherwise: 'glasspost' }),
  advertisedAddress: optionalAddress(
    'where clients are sent (without it: to the address by which they came)',
  ),
  insecure: switchable('listen beyond this machine without accounts or without an admin token'),
  reloadMs: whole(
    'how often certificate and accounts are looked at for changes; 0: at SIGHUP only',
    { min: 0, max: DAY, otherwise: 10 * SECOND },
  ),
  tier: choice('where history goes that the log need not keep', {
    among: ['off', 'directory', 's3'],
    otherwise: 'off',
  }),
  tierDirectory: optionalText('directory of the tier (without it: tier in the data directory)'),
  grpc: grpc.prefault({}),
  http: http.prefault({}),
  tls: tls.prefault({}),
  accounts: z
    .strictObject({ file: optionalText('access keys and what they may do, JSON') })
    .prefault({}),
  topics: topics.prefault({}),
  groups: z
    .strictObject({
      max: whole('consumer groups in all', { min: 1, max: 1_000_000, otherwise: 20_000 }),
      startFrom: choice('where a group begins that a receive creates', {
        among: startPositions,
        otherwise: 'earliest',
      }),
    })
    .prefault({}),
  receive: receive.prefault({}),
  timers: timers.prefault({}),
  transactions: transactions.prefault({}),
  sessions: z
    .strictObject({
      graceMs: whole('how long a client may be silent before its leases end', {
        min: SECOND,
        max: HOUR,
        otherwise: 30 * SECOND,
      }),
    })
    .prefault({}),
  commitLog: commitLog.prefault({}),
  index: index.prefault({}),
  s3: s3.prefault({}),
  tiering: tiering.prefault({}),
  local: local.prefault({}),
  disk: disk.prefault({}),
  upkeep: z
    .strictObject({
      restMs: whole('pause between rounds of trimming, reclaiming and looking at the disk', {
        min: 10,
        max: HOUR,
        otherwise: 5 * SECOND,
      }),
      reclaimMs: whole('bytes that a deleted topic shares with others go after this at last', {
        min: 60 * SECOND,
        max: 30 * DAY,
        otherwise: 24 * HOUR,
      }),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: choice('what goes to stderr', {
        among: ['silent', 'error', 'warn', 'info', 'debug'],
        otherwise: 'warn',
      }),
    })
    .prefault({}),
  shutdown: z
    .strictObject({
      drainMs: whole('what is under way at SIGTERM has this long to finish', {
        min: 0,
        max: 600 * SECOND,
        otherwise: 5 * SECOND,
      }),
    })
    .prefault({}),
})

/** The effective settings, every default filled in. */
export type Settings = z.infer<typeof settingsSchema>
