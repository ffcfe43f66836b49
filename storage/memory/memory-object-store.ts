import { BrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import type {
  CallOptions,
  GetOptions,
  ObjectInfo,
  ObjectStore,
  OnRequest,
  PutOptions,
} from '../ports/object-store.ts'
import { ObjectStoreDoor } from '../ports/object-store-door.ts'
import { RequestMeter } from '../ports/request-meter.ts'

export interface MemoryObject {
  readonly content: Buffer
  readonly modifiedMs: number
}

export interface MemoryObjectStoreOptions {
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
  readonly onRequest?: OnRequest
  /** What is stored, by key: outlives the store when it is passed in. */
  readonly objects?: Map<string, MemoryObject>
  /** Objects told by one request of a listing. */
  readonly pageKeys?: number
}

/** Objects in memory: what the port means, in its shortest form. */
export class MemoryObjectStore implements ObjectStore {
  readonly name = 'memory'
  readonly objects: Map<string, MemoryObject>
  readonly #clock: MemoryObjectStoreOptions['clock']
  readonly #pageKeys: number
  readonly #door = new ObjectStoreDoor(this.name)
  readonly #meter: RequestMeter

  constructor({ clock, onRequest, objects, pageKeys = 1_000 }: MemoryObjectStoreOptions) {
    this.objects = objects ?? new Map()
    this.#clock = clock
    this.#pageKeys = pageKeys
    this.#meter = new RequestMeter({ clock, onRequest })
  }

  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const { ifAbsent, signal } = options
    return this.#door.pass({ operation: `put ${key}`, keys: [key], signal }, () => {
      const sentBytes = parts.reduce((sum, part) => sum + part.length, 0)
      return this.#meter.measure({ kind: 'put', key, sentBytes }, async () => {
        if (ifAbsent && this.objects.has(key))
          throw new BrokerError('TIER_OBJECT_EXISTS', { store: this.name, key })
        const content = Buffer.concat(parts)
        this.objects.set(key, { content, modifiedMs: this.#clock.wallMs() })
      })
    })
  }

  get(key: string, { range, signal }: GetOptions = {}): Promise<Buffer> {
    return this.#door.pass({ operation: `get ${key}`, keys: [key], signal }, () =>
      this.#meter.measure({ kind: 'get', key }, async () => {
        const content = this.objects.get(key)?.content
        if (content === undefined)
          throw new BrokerError('TIER_OBJECT_NOT_FOUND', { store: this.name, key })
        const { from, to } = range ?? { from: 0, to: content.length }
        if (to > content.length)
          throw new BrokerError('TIER_RANGE_ILLEGAL', { store: this.name, key, to })
        return Buffer.from(content.subarray(from, to))
      }),
    )
  }

  head(key: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    return this.#door.pass({ operation: `head ${key}`, keys: [key], signal }, () =>
      this.#meter.measure({ kind: 'head', key }, async () => this.#infoOf(key)),
    )
  }

  async *list(prefix: string, { signal }: CallOptions = {}): AsyncGenerator<ObjectInfo> {
    let after: string | undefined
    for (;;) {
      const page = await this.#door.pass({ operation: `list ${prefix}`, prefix, signal }, () =>
        this.#meter.measure({ kind: 'list', key: prefix }, async () => this.#page(prefix, after)),
      )
      yield* page
      if (page.length < this.#pageKeys) return
      after = page.at(-1)?.key
    }
  }

  remove(keys: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    const [first = ''] = keys
    return this.#door.pass({ operation: `remove ${first}`, keys, signal }, () =>
      this.#meter.measure({ kind: 'remove', key: first }, async () => {
        for (const key of keys) this.objects.delete(key)
      }),
    )
  }

  close(): Promise<void> {
    return this.#door.close()
  }

  #page(prefix: string, after = ''): ObjectInfo[] {
    return [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
      .slice(0, this.#pageKeys)
      .flatMap((key) => this.#infoOf(key) ?? [])
  }

  #infoOf(key: string): ObjectInfo | undefined {
    const object = this.objects.get(key)
    return object && { key, bytes: object.content.length, modifiedMs: object.modifiedMs }
  }
}
