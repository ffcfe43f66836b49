import type { GetOptions, ObjectStore } from '../../storage/ports/object-store.ts'

export interface WatchedGet {
  readonly key: string
  readonly from: number
  readonly to: number
}

/** A store whose reads are seen, held up and failed by a spec. */
export class WatchedStore implements ObjectStore {
  readonly name: string
  readonly gets: WatchedGet[] = []
  reading = 0
  readingMax = 0
  /** Called before each read; what it throws, the read rejects with. */
  beforeGet: (get: WatchedGet) => Promise<void> | void = () => {}
  /** May change the bytes. */
  afterGet: (get: WatchedGet, bytes: Buffer) => void = () => {}
  readonly #store: ObjectStore

  constructor(store: ObjectStore) {
    this.#store = store
    this.name = store.name
  }

  async get(key: string, options: GetOptions = {}): Promise<Buffer> {
    const { from = 0, to = Number.POSITIVE_INFINITY } = options.range ?? {}
    const get = { key, from, to }
    this.gets.push(get)
    this.reading++
    this.readingMax = Math.max(this.readingMax, this.reading)
    try {
      await this.beforeGet(get)
      const bytes = await this.#store.get(key, options)
      this.afterGet(get, bytes)
      return bytes
    } finally {
      this.reading--
    }
  }

  put(...given: Parameters<ObjectStore['put']>): Promise<void> {
    return this.#store.put(...given)
  }

  head(...given: Parameters<ObjectStore['head']>): ReturnType<ObjectStore['head']> {
    return this.#store.head(...given)
  }

  list(...given: Parameters<ObjectStore['list']>): ReturnType<ObjectStore['list']> {
    return this.#store.list(...given)
  }

  remove(...given: Parameters<ObjectStore['remove']>): Promise<void> {
    return this.#store.remove(...given)
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}
