import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { BrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import {
  type CallOptions,
  type GetOptions,
  isObjectKey,
  type ObjectInfo,
  type ObjectStore,
  type OnRequest,
  type PutOptions,
} from '../ports/object-store.ts'
import { ObjectStoreDoor } from '../ports/object-store-door.ts'
import { checkBodies } from './check-bodies.ts'
import { Payload } from './payload.ts'
import { type S3Attempt, tierErrorOf, told } from './s3-errors.ts'
import { type S3Call, S3Wire } from './s3-wire.ts'

const MIB = 1024 * 1024
const REMOVED_AT_ONCE = 1_000

export interface S3ObjectStoreOptions {
  readonly bucket: string
  /** Before every key in the bucket; a `/` is put between. */
  readonly prefix?: string | undefined
  /** URL; without one Amazon's, by region. */
  readonly endpoint?: string | undefined
  /** Without one the client looks where it always looks: environment, profile. */
  readonly region?: string | undefined
  /** `endpoint/bucket/key` rather than `bucket.endpoint/key`. */
  readonly forcePathStyle?: boolean | undefined
  /** Without them the client looks where it always looks. */
  readonly credentials?: S3ClientConfig['credentials']
  /** Tries of one request, the first one counted. */
  readonly attemptsMax?: number | undefined
  /** For one try, from its first byte to the last one of its answer. */
  readonly timeoutMs?: number | undefined
  readonly connectionsMax?: number | undefined
  readonly onRequest?: OnRequest | undefined
  /** Objects told by one request of a listing, 1000 at most. */
  readonly pageKeys?: number
  /** Larger objects are put in several parts, unless the put is conditional. */
  readonly singleBytesMax?: number
  /** S3 takes 5 MiB or more, and 10,000 parts. */
  readonly partBytes?: number
}

/**
 * Objects in a bucket of S3, or of anything that speaks it and keeps `If-None-Match`.
 *
 * Bodies carry their MD5, which the server checks; answers are compared with the length and range
 * that they name. The client tries again what may pass, a few times; so a conditional put whose
 * answer was lost meets itself and rejects with `TIER_OBJECT_EXISTS`.
 */
export class S3ObjectStore implements ObjectStore {
  readonly name: string
  readonly #bucket: string
  readonly #prefix: string
  readonly #pageKeys: number
  readonly #singleBytesMax: number
  readonly #partBytes: number
  readonly #clock: Clock
  readonly #client: S3Client
  readonly #isPlaintext: boolean
  readonly #door: ObjectStoreDoor

  constructor({ clock }: { readonly clock: Clock }, options: S3ObjectStoreOptions) {
    const { bucket, endpoint, region, credentials, onRequest } = options
    const prefix = (options.prefix ?? '').replace(/^\/+|\/+$/g, '')
    this.name = prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`
    this.#bucket = bucket
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#pageKeys = options.pageKeys ?? 1_000
    this.#singleBytesMax = options.singleBytesMax ?? 64 * MIB
    this.#partBytes = options.partBytes ?? 16 * MIB
    this.#clock = clock
    this.#isPlaintext = endpoint?.startsWith('http:') ?? false
    this.#door = new ObjectStoreDoor(this.name)
    this.#client = new S3Client({
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      ...(credentials === undefined ? {} : { credentials }),
      forcePathStyle: options.forcePathStyle ?? false,
      maxAttempts: options.attemptsMax ?? 3,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      expectContinueHeader: false,
      requestHandler: new S3Wire({
        ...{ clock, onRequest },
        timeoutMs: options.timeoutMs ?? 60_000,
        connectionsMax: options.connectionsMax ?? 50,
      }),
    })
    checkBodies(this.#client)
  }

  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const { ifAbsent, signal } = options
    const operation = `put ${key}`
    return this.#door.pass({ operation, keys: [key], signal }, async (abortSignal) => {
      const payload = new Payload(parts)
      const call = { kind: 'put', key, abortSignal } as const
      await this.#attempt({ operation, key, ifAbsent }, async () => {
        // Not every store looks at conditions when the parts of an object are put together.
        if (ifAbsent || payload.bytes <= this.#singleBytesMax)
          await this.#putWhole(payload, call, ifAbsent)
        else await this.#putInParts(payload, call)
      })
    })
  }

  get(key: string, { range, signal }: GetOptions = {}): Promise<Buffer> {
    const operation = `get ${key}`
    return this.#door.pass({ operation, keys: [key], signal }, (abortSignal) =>
      range !== undefined && range.from >= range.to
        ? this.#getNothing(key, range, abortSignal)
        : this.#get(key, range, abortSignal),
    )
  }

  head(key: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    return this.#door.pass({ operation: `head ${key}`, keys: [key], signal }, (abortSignal) =>
      this.#head(key, abortSignal),
    )
  }

  async *list(prefix: string, { signal }: CallOptions = {}): AsyncGenerator<ObjectInfo> {
    const operation = `list ${prefix}`
    let token: string | undefined
    do {
      const page = await this.#door.pass({ operation, prefix, signal }, (abortSignal) =>
        this.#page(prefix, token, abortSignal),
      )
      yield* page.objects
      token = page.next
    } while (token !== undefined)
  }

  remove(keys: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    const operation = `remove ${keys[0] ?? 'nothing'}`
    return this.#door.pass({ operation, keys, signal }, (abortSignal) =>
      this.#attempt({ operation }, async () => {
        for (let from = 0; from < keys.length; from += REMOVED_AT_ONCE)
          await this.#removeSome(keys.slice(from, from + REMOVED_AT_ONCE), abortSignal)
      }),
    )
  }

  async close(): Promise<void> {
    await this.#door.close()
    this.#client.destroy()
  }

  #target(key: string) {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${key}` }
  }

  async #attempt<T>(
    attempt: Omit<S3Attempt, 'store' | 'bucket'>,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw tierErrorOf(error, { store: this.name, bucket: this.#bucket, ...attempt })
    }
  }

  async #hashed(payload: Payload): Promise<Uint8Array> {
    // Over TLS nobody else can change a body that its MD5 belongs to.
    await payload.hash(this.#clock, { withSha256: this.#isPlaintext })
    return payload as unknown as Uint8Array
  }

  async #putWhole(payload: Payload, call: S3Call, ifAbsent: boolean): Promise<void> {
    const condition = ifAbsent ? { IfNoneMatch: '*' } : {}
    const body = await this.#hashed(payload)
    const command = new PutObjectCommand({ ...this.#target(call.key), Body: body, ...condition })
    await this.#client.send(command, call)
  }

  async #putInParts(payload: Payload, call: S3Call): Promise<void> {
    const target = this.#target(call.key)
    const begun = await this.#client.send(new CreateMultipartUploadCommand(target), call)
    const upload = { ...target, UploadId: begun.UploadId }
    try {
      const parts: { ETag: string | undefined; PartNumber: number }[] = []
      for (let from = 0; from < payload.bytes; from += this.#partBytes) {
        const to = Math.min(from + this.#partBytes, payload.bytes)
        const part = { ...upload, PartNumber: parts.length + 1 }
        const body = await this.#hashed(payload.range(from, to))
        const sent = await this.#client.send(new UploadPartCommand({ ...part, Body: body }), call)
        parts.push({ ETag: sent.ETag, PartNumber: part.PartNumber })
      }
      const whole = { ...upload, MultipartUpload: { Parts: parts } }
      await this.#client.send(new CompleteMultipartUploadCommand(whole), call)
    } catch (error) {
      await this.#abandon(upload, call.key)
      throw error
    }
  }

  /** What it leaves when this fails as well is paid for until the bucket's own rules remove it. */
  async #abandon(
    upload: { Bucket: string; Key: string; UploadId: string | undefined },
    key: string,
  ) {
    const abortSignal = new AbortController().signal
    const call: S3Call = { kind: 'remove', key, abortSignal }
    await this.#client.send(new AbortMultipartUploadCommand(upload), call).catch(() => {})
  }

  /** Also the whole object is asked for as a range: the answer then says how long it must be. */
  async #get(key: string, range: GetOptions['range'], abortSignal: AbortSignal): Promise<Buffer> {
    const { from, to = Number.POSITIVE_INFINITY } = range ?? { from: 0 }
    const call: S3Call = { kind: 'get', key, abortSignal }
    const Range = `bytes=${from}-${range === undefined ? '' : to - 1}`
    try {
      await this.#client.send(new GetObjectCommand({ ...this.#target(key), Range }), call)
    } catch (error) {
      // There is no range in nothing.
      if (range === undefined && told(error).status === 416) return Buffer.alloc(0)
      const about = { store: this.name, bucket: this.#bucket, operation: `get ${key}`, key, to }
      throw tierErrorOf(error, about)
    }
    const { received = Buffer.alloc(0) } = call
    if (range !== undefined && received.length < to - from)
      throw new BrokerError('TIER_RANGE_ILLEGAL', { store: this.name, key, to })
    return received
  }

  async #getNothing(key: string, { to }: { to: number }, abortSignal: AbortSignal) {
    const info = await this.#head(key, abortSignal)
    if (info === undefined)
      throw new BrokerError('TIER_OBJECT_NOT_FOUND', { store: this.name, key })
    if (to > info.bytes) throw new BrokerError('TIER_RANGE_ILLEGAL', { store: this.name, key, to })
    return Buffer.alloc(0)
  }

  #head(key: string, abortSignal: AbortSignal): Promise<ObjectInfo | undefined> {
    const call: S3Call = { kind: 'head', key, abortSignal }
    return this.#attempt({ operation: `head ${key}`, key }, async () => {
      try {
        const found = await this.#client.send(new HeadObjectCommand(this.#target(key)), call)
        const modifiedMs = found.LastModified?.getTime() ?? 0
        return { key, bytes: found.ContentLength ?? 0, modifiedMs }
      } catch (error) {
        if (told(error).status !== 404) throw error
        await this.#expectBucket(call)
        return undefined
      }
    })
  }

  /** An answer to HEAD has no body that could tell a missing object from a missing bucket. */
  async #expectBucket(call: S3Call): Promise<void> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }), call)
    } catch (error) {
      if (told(error).status !== 404) throw error
      throw Object.assign(new Error('no such bucket', { cause: error }), { name: 'NoSuchBucket' })
    }
  }

  #page(prefix: string, token: string | undefined, abortSignal: AbortSignal) {
    const operation = `list ${prefix}`
    return this.#attempt({ operation }, async () => {
      const call: S3Call = { kind: 'list', key: prefix, abortSignal }
      const asked = {
        ...{ Bucket: this.#bucket, Prefix: `${this.#prefix}${prefix}`, MaxKeys: this.#pageKeys },
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }
      const page = await this.#client.send(new ListObjectsV2Command(asked), call)
      const { Contents = [], IsTruncated = false, NextContinuationToken: next } = page
      if (IsTruncated && (next === undefined || next === token))
        throw new Error('the list goes on, and nobody says where')
      const objects = Contents.flatMap(({ Key = '', Size = 0, LastModified }): ObjectInfo[] => {
        const key = Key.slice(this.#prefix.length)
        if (!isObjectKey(key)) return []
        return [{ key, bytes: Size, modifiedMs: LastModified?.getTime() ?? 0 }]
      })
      return { objects, next: IsTruncated ? next : undefined }
    })
  }

  async #removeSome(keys: readonly string[], abortSignal: AbortSignal): Promise<void> {
    const call: S3Call = { kind: 'remove', key: keys[0] ?? '', abortSignal }
    const Objects = keys.map((key) => ({ Key: this.#target(key).Key }))
    const command = new DeleteObjectsCommand({
      Bucket: this.#bucket,
      Delete: { Objects, Quiet: true },
    })
    const { Errors = [] } = await this.#client.send(command, call)
    const [first, ...others] = Errors.filter(({ Code }) => Code !== 'NoSuchKey')
    if (first === undefined) return
    const status = first.Code === 'AccessDenied' ? 403 : 0
    const more = others.length > 0 ? ` (and ${others.length} more)` : ''
    throw Object.assign(new Error(`${first.Key}: ${first.Message}${more}`), {
      name: first.Code ?? 'Error',
      $metadata: { httpStatusCode: status },
    })
  }
}
