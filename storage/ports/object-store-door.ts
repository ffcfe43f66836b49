import { BrokerError } from '../../model/errors.ts'
import { isObjectKey, isObjectPrefix } from './object-store.ts'
import { orAborted } from './or-aborted.ts'

export interface DoorCall {
  /** As in "could not put the object a/b". */
  readonly operation: string
  readonly keys?: readonly string[]
  readonly prefix?: string
  readonly signal?: AbortSignal | undefined
}

/**
 * What every adapter of `ObjectStore` does alike: refuses names that are no keys and calls after
 * the end, ends a caller's waiting by signal, and at its own end waits until nothing is under way.
 */
export class ObjectStoreDoor {
  readonly #store: string
  readonly #inside = new Map<AbortController, Promise<unknown>>()
  #isClosed = false

  constructor(store: string) {
    this.#store = store
  }

  /** Work that cannot be broken off goes on behind the back of a caller that no longer waits. */
  async pass<T>(call: DoorCall, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#admit(call)
    const { signal } = call
    const ending = new AbortController()
    const end = (): void => ending.abort(signal?.reason)
    signal?.addEventListener('abort', end, { once: true })
    const working = work(ending.signal)
    this.#inside.set(ending, working)
    try {
      return await orAborted(working, ending.signal)
    } finally {
      signal?.removeEventListener('abort', end)
      const leave = (): unknown => this.#inside.delete(ending)
      working.then(leave, leave)
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const inside = [...this.#inside]
    for (const [ending] of inside) ending.abort(this.#closed('finish what was under way'))
    await Promise.allSettled(inside.map(([, working]) => working))
  }

  #admit({ operation, keys = [], prefix = '', signal }: DoorCall): void {
    if (this.#isClosed) throw this.#closed(operation)
    const illegal = isObjectPrefix(prefix) ? keys.find((key) => !isObjectKey(key)) : prefix
    if (illegal !== undefined)
      throw new BrokerError('TIER_KEY_ILLEGAL', { store: this.#store, key: illegal })
    signal?.throwIfAborted()
  }

  #closed(operation: string): BrokerError {
    const params = { store: this.#store, operation, reason: 'it is closed' }
    return new BrokerError('TIER_UNAVAILABLE', params)
  }
}
