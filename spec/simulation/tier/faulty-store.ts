import { BrokerError } from '../../../model/errors.ts'
import type { Clock } from '../../../model/ports.ts'
import {
  type MemoryObject,
  MemoryObjectStore,
} from '../../../storage/memory/memory-object-store.ts'
import type {
  CallOptions,
  GetOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
} from '../../../storage/ports/object-store.ts'
import type { RequestKind } from '../../../model/tier/requests.ts'

/**
 * What goes wrong with one request: it fails before it did anything; it was done and the answer is
 * lost; nobody answers for half a minute; it is refused; it arrives when everybody has given up.
 */
export const storeFaults = ['fails', 'answerLost', 'hangs', 'denied', 'late'] as const
export type StoreFault = (typeof storeFaults)[number]

const HANGS_MS = 30_000

/** A bucket that outlives the processes which use it, and the faults of the way there. */
export class Bucket {
  readonly objects = new Map<string, MemoryObject>()
  /** Puts that were given up and are still under way. */
  readonly late: (() => void)[] = []
  #fault: { readonly fault: StoreFault; readonly kinds: readonly RequestKind[] } | undefined
  #left = 0

  break(fault: StoreFault, kinds: readonly RequestKind[], count: number): void {
    this.#fault = { fault, kinds }
    this.#left = count
  }

  heal(): void {
    this.#left = 0
  }

  get isTroubled(): boolean {
    return this.#left > 0
  }

  takeFault(kind: RequestKind): StoreFault | undefined {
    if (this.#left === 0 || !this.#fault?.kinds.includes(kind)) return undefined
    this.#left--
    return this.#fault.fault
  }

  land(): number {
    const landed = this.late.splice(0)
    for (const put of landed) put()
    return landed.length
  }
}

/** A store on a bucket, as one process has it. */
export class FaultyStore implements ObjectStore {
  readonly name = 'bucket'
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #store: MemoryObjectStore

  constructor(bucket: Bucket, clock: Clock) {
    this.#bucket = bucket
    this.#clock = clock
    this.#store = new MemoryObjectStore({ clock, objects: bucket.objects, pageKeys: 3 })
  }

  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const content = Buffer.concat(parts)
    const modifiedMs = this.#clock.wallMs()
    return this.#go(
      'put',
      () => this.#store.put(key, parts, options),
      options,
      () => {
        if (!options.ifAbsent || !this.#bucket.objects.has(key))
          this.#bucket.objects.set(key, { content, modifiedMs })
      },
    )
  }

  get(key: string, options: GetOptions = {}): Promise<Buffer> {
    return this.#go('get', () => this.#store.get(key, options), options)
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    return this.#go('head', () => this.#store.head(key, options), options)
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo> {
    for await (const info of this.#store.list(prefix, options)) {
      await this.#go('list', async () => {}, options)
      yield info
    }
  }

  remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.#go('remove', () => this.#store.remove(keys, options), options)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #go<Answer>(
    kind: RequestKind,
    work: () => Promise<Answer>,
    { signal }: CallOptions,
    late?: () => void,
  ): Promise<Answer> {
    signal?.throwIfAborted()
    const refuse = (code: 'TIER_UNAVAILABLE' | 'TIER_DENIED', reason: string) =>
      new BrokerError(code, { store: this.name, operation: kind, reason })
    switch (this.#bucket.takeFault(kind)) {
      case undefined:
        return work()
      case 'fails':
        throw refuse('TIER_UNAVAILABLE', 'the specification says so')
      case 'denied':
        throw refuse('TIER_DENIED', 'the specification says so')
      case 'answerLost':
        await work()
        throw refuse('TIER_UNAVAILABLE', 'the answer was lost')
      case 'late':
        if (late) this.#bucket.late.push(late)
        throw refuse('TIER_UNAVAILABLE', 'it is still under way')
      case 'hangs':
        await this.#hang(signal)
        throw refuse('TIER_UNAVAILABLE', 'nobody answered in time')
    }
  }

  #hang(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(HANGS_MS, resolve)
      signal?.addEventListener(
        'abort',
        () => {
          cancel()
          reject(signal.reason as Error)
        },
        { once: true },
      )
    })
  }
}
