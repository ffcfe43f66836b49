import { join } from 'node:path'
import { BrokerError } from './model/errors.ts'
import type { Clock, Logger, Random } from './model/ports.ts'
import { DirectoryObjectStore } from './storage/directory/directory-object-store.ts'
import type { ObjectStore, OnRequest } from './storage/ports/object-store.ts'
import { probeObjectStore } from './storage/tier/probe-object-store.ts'

/**
 * Where history lies that the log need not keep: nowhere, a directory (`'directory'`: `tier` in
 * the data directory), a bucket, or a store of your own, which you close.
 */
export type TierOption =
  | 'off'
  | 'directory'
  | { readonly directory: string }
  | { readonly s3: S3TierOptions }
  | { readonly store: ObjectStore }

export interface S3TierOptions {
  readonly bucket: string
  /** Before every key in the bucket. */
  readonly prefix?: string | undefined
  /** URL of a service that is not Amazon's. */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly forcePathStyle?: boolean | undefined
  /** Without them the S3 client looks where it always looks: environment, profile, the machine. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Tries of one request. */
  readonly attemptsMax?: number | undefined
  readonly timeoutMs?: number | undefined
}

/** A start waits so long for a store to show what it is. */
const PROBE_MS = 10_000

export interface TierParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly dataDir: string | undefined
  /** Under which this data directory writes. */
  readonly namespace: string
  readonly onRequest: OnRequest
}

export interface OpenTier {
  readonly store: ObjectStore
  /** Closes the store, unless it is somebody else's. */
  close(): Promise<void>
}

/**
 * Opens the store of the tier and sees whether it is fit to be one: rejects with `TIER_UNFIT` or
 * `SETTINGS_ILLEGAL`. One that is away, or denies access, is opened all the same and complained
 * about: the broker does without it until it is back.
 */
export const openTier = async (
  option: TierOption,
  parts: TierParts,
): Promise<OpenTier | undefined> => {
  const tier = await openStore(option, parts)
  if (tier === undefined) return undefined
  try {
    await probe(tier.store, parts)
    return tier
  } catch (error) {
    if (error instanceof BrokerError && error.kind === 'unavailable') {
      parts.logger.warn({ store: tier.store.name, reason: error.message }, 'the tier is away')
      return tier
    }
    await tier.close()
    throw error
  }
}

const probe = async (
  store: ObjectStore,
  { clock, random, namespace }: TierParts,
): Promise<void> => {
  const ending = new AbortController()
  const params = {
    store: store.name,
    operation: 'be probed',
    reason: `no answer in ${PROBE_MS} ms`,
  }
  const end = (): void => ending.abort(new BrokerError('TIER_UNAVAILABLE', params))
  const cancel = clock.after(PROBE_MS, end)
  try {
    await probeObjectStore(store, { random, namespace, signal: ending.signal })
  } finally {
    cancel()
  }
}

const openStore = async (option: TierOption, parts: TierParts): Promise<OpenTier | undefined> => {
  if (option === 'off') return undefined
  if (option === 'directory') return openDirectory(defaultDirectory(parts), parts)
  if ('directory' in option) return openDirectory(option.directory, parts)
  if ('store' in option) return { store: option.store, close: async () => {} }
  // Loaded by those only who use it: it takes longer to load than all the rest.
  const { S3ObjectStore } = await import('./storage/s3/s3-object-store.ts')
  const { onRequest } = parts
  const store = new S3ObjectStore(parts, { ...option.s3, onRequest })
  return { store, close: () => store.close() }
}

const openDirectory = async (directory: string, parts: TierParts): Promise<OpenTier> => {
  const store = await DirectoryObjectStore.open({ ...parts, directory })
  return { store, close: () => store.close() }
}

const defaultDirectory = ({ dataDir }: TierParts): string => {
  if (dataDir !== undefined) return join(dataDir, 'tier')
  const reason = 'a broker in memory has no directory of its own: give tier: { directory }'
  throw new BrokerError('SETTINGS_ILLEGAL', { name: 'tier', reason })
}
