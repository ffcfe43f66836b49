import type { RequestKind } from '../../model/tier/requests.ts'

/**
 * A flat store of immutable objects, as glasspost needs it of S3, a directory or memory: where a
 * topic's history lies. Contract: `spec/contracts/object-store.contract.ts`.
 *
 * Keys are names joined by `/`, as in `0f3a/17/manifest.json`: see {@link isObjectKey}. None may be
 * the folder of another. Everything but `close` may reject with `TIER_UNAVAILABLE` (try again
 * later) or `TIER_DENIED` (try again, and tell people), and does so once it is closed; a rejected
 * write may have happened all the same. `signal` ends waiting at once, with its reason.
 */
export interface ObjectStore {
  /** For messages to people, such as `s3://bucket/prefix`. */
  readonly name: string
  /**
   * Stores the parts as one object, whole or not at all; durable when it resolves. The parts must
   * not change before that. `ifAbsent` rejects with `TIER_OBJECT_EXISTS` when there is one of this
   * name, which may be this very write: a store that lost its answer is asked again by the client.
   */
  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void>
  /**
   * The bytes of `[from, to)`, or of the whole object; exactly those, never fewer, in a buffer of
   * the caller's own. Rejects with `TIER_OBJECT_NOT_FOUND`, and with `TIER_RANGE_ILLEGAL` when the
   * object ends before `to`.
   */
  get(key: string, options?: GetOptions): Promise<Buffer>
  /** Undefined when there is none. */
  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined>
  /**
   * Objects whose keys begin so, in key order. Sees everything that was put before the call, and
   * only what this port can name.
   */
  list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo>
  /** Removes objects; one that is absent is removed. Any number of keys. */
  remove(keys: readonly string[], options?: CallOptions): Promise<void>
  /** Ends what is under way and lets go of everything. Twice is fine. */
  close(): Promise<void>
}

const KEY_BYTES_MAX = 512
const NAME_BYTES_MAX = 200
const NAMES = /^[a-z0-9-][a-z0-9.-]*(\/[a-z0-9-][a-z0-9.-]*)*$/

/**
 * Whether an object may be called so: names of 1 to 200 of `[a-z0-9.-]`, none beginning with a
 * dot, joined by `/` to at most 512 bytes.
 */
export const isObjectKey = (key: string): boolean =>
  key.length <= KEY_BYTES_MAX &&
  NAMES.test(key) &&
  key.split('/').every((name) => name.length <= NAME_BYTES_MAX)

/** Whether a key may begin so. */
export const isObjectPrefix = (prefix: string): boolean =>
  prefix === '' || isObjectKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)

export interface CallOptions {
  readonly signal?: AbortSignal
}

export interface PutOptions extends CallOptions {
  readonly ifAbsent: boolean
}

export interface GetOptions extends CallOptions {
  readonly range?: { readonly from: number; readonly to: number }
}

export interface ObjectInfo {
  readonly key: string
  readonly bytes: number
  /** By the store's own clock. */
  readonly modifiedMs: number
}

/** One request that really went out, retries included; told as it ends, however it ends. */
export interface SentRequest {
  readonly kind: RequestKind
  /** The object, the prefix of a list, or the first object of a removal. */
  readonly key: string
  /** Of bodies; headers are not counted. */
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly ms: number
  /** False for every answer that is an error, a 404 or 412 too. */
  readonly ok: boolean
}

export type OnRequest = (request: SentRequest) => void
