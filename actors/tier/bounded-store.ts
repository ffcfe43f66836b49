import { BrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import type {
  CallOptions,
  GetOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
} from '../../storage/ports/object-store.ts'
import { orAborted } from '../../storage/ports/or-aborted.ts'

export interface BoundedStoreOptions {
  readonly clock: Pick<Clock, 'after'>
  /** A request that takes longer has failed. */
  readonly requestMs: number
  /** Ends everything that is under way. */
  readonly signal: AbortSignal
}

const REMOVED_AT_ONCE = 1_000

/**
 * A store as the offload uses it: no call waits for ever, neither for a store that hangs nor for
 * one that does not heed its signal.
 */
export class BoundedStore implements ObjectStore {
  readonly name: string
  readonly #store: ObjectStore
  readonly #options: BoundedStoreOptions

  constructor(store: ObjectStore, options: BoundedStoreOptions) {
    this.name = store.name
    this.#store = store
    this.#options = options
  }

  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    return this.#within(`put ${key}`, options, (signal) =>
      this.#store.put(key, parts, { ...options, signal }),
    )
  }

  get(key: string, options: GetOptions = {}): Promise<Buffer> {
    return this.#within(`get ${key}`, options, (signal) =>
      this.#store.get(key, { ...options, signal }),
    )
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    return this.#within(`head ${key}`, options, (signal) => this.#store.head(key, { signal }))
  }

  /** Each page of the listing is a call. */
  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo> {
    const ending = new AbortController()
    const listing = this.#store.list(prefix, { signal: ending.signal })[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await this.#within(`list ${prefix}`, options, () => listing.next())
        if (next.done) return
        yield next.value
      }
    } finally {
      ending.abort(new Error('nobody reads the listing any more'))
    }
  }

  /** So many at once are a call: a long history takes longer than one may. */
  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (let first = 0; first < keys.length; first += REMOVED_AT_ONCE) {
      const some = keys.slice(first, first + REMOVED_AT_ONCE)
      await this.#within(`remove ${some[0]}`, options, (signal) =>
        this.#store.remove(some, { signal }),
      )
    }
  }

  /** The opener of the store closes it. */
  async close(): Promise<void> {}

  async #within<Result>(
    operation: string,
    { signal }: CallOptions,
    call: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { clock, requestMs, signal: closing } = this.#options
    const ending = new AbortController()
    const sources = signal ? [closing, signal] : [closing]
    const end = (event: { readonly target: unknown }): void =>
      ending.abort((event.target as AbortSignal).reason)
    for (const source of sources) {
      source.throwIfAborted()
      source.addEventListener('abort', end, { once: true })
    }
    const cancel = clock.after(requestMs, () => ending.abort(this.#late(operation)))
    try {
      return await orAborted(call(ending.signal), ending.signal)
    } finally {
      cancel()
      for (const source of sources) source.removeEventListener('abort', end)
    }
  }

  #late(operation: string): BrokerError {
    const reason = `no answer within ${this.#options.requestMs} ms`
    return new BrokerError('TIER_UNAVAILABLE', { store: this.name, operation, reason })
  }
}
