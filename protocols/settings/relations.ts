import { isIP } from 'node:net'
import type { Settings } from './schema.ts'

/** What is wrong between settings, each fine alone. */
export interface RelationProblem {
  /** The setting to change; the first one that somebody set is named. */
  readonly paths: readonly string[]
  readonly reason: string
}

/** Reachable from this machine only. A name counts as reachable, except `localhost`. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' ||
  host === '::1' ||
  host === '::ffff:127.0.0.1' ||
  (isIP(host) === 4 && host.startsWith('127.'))

/** Whether somebody set it, rather than leaving it to its default. */
type IsSet = (path: string) => boolean
type Rule = (settings: Settings, isSet: IsSet) => RelationProblem | undefined

const rule =
  (
    isBroken: (settings: Settings) => boolean,
    reason: string | ((settings: Settings) => string),
    ...paths: string[]
  ): Rule =>
  (settings) =>
    isBroken(settings)
      ? { paths, reason: typeof reason === 'string' ? reason : reason(settings) }
      : undefined

/** A limit within another one. A default that another's limit makes moot is no contradiction. */
const within = (
  inner: string,
  outer: string,
  pairOf: (settings: Settings) => readonly [inner: number, outer: number],
): Rule => {
  const reason = `${inner} is more than ${outer}`
  return (settings, isSet) => {
    const [innerMax, outerMax] = pairOf(settings)
    return innerMax > outerMax && isSet(inner) ? { paths: [inner, outer], reason } : undefined
  }
}

const contradictory: readonly Rule[] = [
  rule(
    ({ grpc, http }) => grpc.port !== 0 && grpc.port === http.port && grpc.host === http.host,
    ({ grpc }) => `gRPC and HTTP cannot both have port ${grpc.port}`,
    ...['http.port', 'grpc.port', 'http.host', 'grpc.host'],
  ),
  rule(
    ({ disk }) => disk.warnAtPercent >= disk.refuseAtPercent,
    'disk.warnAtPercent must be less than disk.refuseAtPercent',
    ...['disk.warnAtPercent', 'disk.refuseAtPercent'],
  ),
  rule(
    ({ tls }) => (tls.certFile === undefined) !== (tls.keyFile === undefined),
    'tls.certFile and tls.keyFile need each other',
    ...['tls.certFile', 'tls.keyFile'],
  ),
  rule(
    ({ tls }) => tls.mode === 'off' && tls.certFile !== undefined,
    'a certificate is given, but tls.mode is off',
    ...['tls.mode', 'tls.certFile'],
  ),
  within('grpc.connectionsPerAddressMax', 'grpc.connectionsMax', ({ grpc }) => [
    grpc.connectionsPerAddressMax,
    grpc.connectionsMax,
  ]),
  within('grpc.inFlightPerConnectionMax', 'grpc.inFlightMax', ({ grpc }) => [
    grpc.inFlightPerConnectionMax,
    grpc.inFlightMax,
  ]),
  within('grpc.deliverAheadMsMax', 'timers.horizonMs', ({ grpc, timers }) => [
    grpc.deliverAheadMsMax,
    timers.horizonMs,
  ]),
  within('topics.autoCreatedMax', 'topics.max', ({ topics }) => [
    topics.autoCreatedMax,
    topics.max,
  ]),
  within('receive.parkedPerKeyMax', 'receive.parkedMax', ({ receive }) => [
    receive.parkedPerKeyMax,
    receive.parkedMax,
  ]),
  within('tiering.segmentBytes', 'tiering.bufferBytes', ({ tiering }) => [
    tiering.segmentBytes,
    tiering.bufferBytes,
  ]),
  within('tiering.readAheadBytes', 'tiering.cacheBytes', ({ tiering }) => [
    tiering.readAheadBytes,
    tiering.cacheBytes,
  ]),
  rule(
    ({ tiering }) => tiering.backoffMsBase > tiering.backoffMsMax,
    'tiering.backoffMsBase is more than tiering.backoffMsMax',
    ...['tiering.backoffMsBase', 'tiering.backoffMsMax'],
  ),
  rule(
    ({ commitLog }) => commitLog.backoffMsBase > commitLog.backoffMsMax,
    'commitLog.backoffMsBase is more than commitLog.backoffMsMax',
    ...['commitLog.backoffMsBase', 'commitLog.backoffMsMax'],
  ),
  rule(
    ({ commitLog }) => commitLog.chunkBytes * commitLog.commitChunksMax > commitLog.bytesMax / 2,
    'commitLog.chunkBytes x commitLog.commitChunksMax is more than half of commitLog.bytesMax',
    ...['commitLog.chunkBytes', 'commitLog.commitChunksMax', 'commitLog.bytesMax'],
  ),
]

const incomplete: readonly Rule[] = [
  rule(
    ({ tier, s3 }) => tier === 's3' && s3.bucket === undefined,
    'tier is s3, but no bucket is named',
    ...['s3.bucket', 'tier'],
  ),
]

const unsafe: readonly Rule[] = [
  rule(
    ({ grpc, accounts, insecure }) =>
      !isLoopback(grpc.host) && accounts.file === undefined && !insecure,
    ({ grpc }) =>
      `whoever reaches ${grpc.host} could send and receive: name an accounts.file, ` +
      'listen on 127.0.0.1, or say --insecure',
    'grpc.host',
  ),
  rule(
    ({ http, insecure }) => !isLoopback(http.host) && http.adminToken === undefined && !insecure,
    ({ http }) =>
      `whoever reaches ${http.host} could administrate: set http.adminToken, ` +
      'listen on 127.0.0.1, or say --insecure',
    'http.host',
  ),
]

export const relationProblems = (settings: Settings, isSet: IsSet): RelationProblem[] =>
  [...contradictory, ...incomplete, ...unsafe].flatMap((check) => check(settings, isSet) ?? [])
