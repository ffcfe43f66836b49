import { link, mkdir, open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BrokerError } from '../../model/errors.ts'
import type { Clock, Random } from '../../model/ports.ts'
import { createDirectory, syncDirectory } from '../files/durable-files.ts'
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
import { RequestMeter } from '../ports/request-meter.ts'
import { hasCode, tierErrorOf } from './disk-errors.ts'

export interface DirectoryObjectStoreOptions {
  /** Created when missing. What another process is uploading to it now has to be begun anew. */
  readonly directory: string
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly random: Random
  readonly onRequest?: OnRequest
  /** Objects told by one request of a listing. */
  readonly pageKeys?: number
}

/**
 * No key begins with a dot, so nothing in here is ever listed. Where it is missing, this is not the
 * directory that was opened, such as the place where a disk is no longer mounted.
 */
export const DRAFTS = '.uploads'

/**
 * Objects as files: a key is a path. An object is written beside its place, synced, and linked in
 * as a whole; names are durable when a call returns. Folders go with their last object.
 */
export class DirectoryObjectStore implements ObjectStore {
  readonly name: string
  readonly #root: string
  readonly #random: Random
  readonly #pageKeys: number
  readonly #door: ObjectStoreDoor
  readonly #meter: RequestMeter
  #folders: Promise<unknown> = Promise.resolve()

  static async open(options: DirectoryObjectStoreOptions): Promise<DirectoryObjectStore> {
    const { directory: root } = options
    try {
      await createDirectory(root)
      await rm(join(root, DRAFTS), { recursive: true, force: true })
      await createDirectory(join(root, DRAFTS))
    } catch (error) {
      throw tierErrorOf(error, { store: root, operation: 'be opened' })
    }
    return new DirectoryObjectStore(options)
  }

  private constructor({ directory, clock, random, ...rest }: DirectoryObjectStoreOptions) {
    this.name = directory
    this.#root = directory
    this.#random = random
    this.#pageKeys = rest.pageKeys ?? 1_000
    this.#door = new ObjectStoreDoor(directory)
    this.#meter = new RequestMeter({ clock, onRequest: rest.onRequest })
  }

  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const operation = `put ${key}`
    const sentBytes = parts.reduce((sum, part) => sum + part.length, 0)
    return this.#door.pass({ operation, keys: [key], signal: options.signal }, (signal) =>
      this.#meter.measure({ kind: 'put', key, sentBytes }, async () => {
        const draft = join(this.#root, DRAFTS, Buffer.from(this.#random.bytes(16)).toString('hex'))
        try {
          await writeDraft(draft, parts, signal)
          await this.#place(draft, key, options)
        } catch (error) {
          throw tierErrorOf(error, { store: this.name, operation })
        } finally {
          await rm(draft, { force: true }).catch(() => {})
        }
      }),
    )
  }

  get(key: string, { range, signal }: GetOptions = {}): Promise<Buffer> {
    const operation = `get ${key}`
    return this.#door.pass({ operation, keys: [key], signal }, (ending) =>
      this.#meter.measure({ kind: 'get', key }, async () => {
        try {
          return await this.#read(key, range, ending)
        } catch (error) {
          if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR'))
            throw tierErrorOf(error, { store: this.name, operation })
          await this.#expectRoot(operation)
          throw new BrokerError('TIER_OBJECT_NOT_FOUND', { store: this.name, key })
        }
      }),
    )
  }

  head(key: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    const operation = `head ${key}`
    return this.#door.pass({ operation, keys: [key], signal }, () =>
      this.#meter.measure({ kind: 'head', key }, async () => {
        const info = await this.#infoOf(key, operation)
        if (info === undefined) await this.#expectRoot(operation)
        return info
      }),
    )
  }

  async *list(prefix: string, { signal }: CallOptions = {}): AsyncGenerator<ObjectInfo> {
    const operation = `list ${prefix}`
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    const keys = await this.#door.pass({ operation, prefix, signal }, async () => {
      await this.#expectRoot(operation)
      return this.#keysIn(folder, prefix, operation)
    })
    for (let from = 0; from === 0 || from < keys.length; from += this.#pageKeys) {
      const some = keys.slice(from, from + this.#pageKeys)
      const page = await this.#door.pass({ operation, prefix, signal }, () =>
        this.#meter.measure({ kind: 'list', key: prefix }, () =>
          Promise.all(some.map((key) => this.#infoOf(key, operation))),
        ),
      )
      // What was removed since its name was read is passed over.
      for (const info of page) if (info !== undefined) yield info
    }
  }

  remove(keys: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    const operation = `remove ${keys[0] ?? 'nothing'}`
    return this.#door.pass({ operation, keys, signal }, (ending) =>
      this.#meter.measure({ kind: 'remove', key: keys[0] ?? '' }, async () => {
        await this.#expectRoot(operation)
        try {
          for (const key of keys) {
            ending.throwIfAborted()
            await unlink(join(this.#root, key)).catch(ignore('ENOENT', 'ENOTDIR'))
          }
          for (const folder of new Set(keys.map((key) => dirname(key)))) await this.#prune(folder)
        } catch (error) {
          throw tierErrorOf(error, { store: this.name, operation })
        }
      }),
    )
  }

  close(): Promise<void> {
    return this.#door.close()
  }

  async #expectRoot(operation: string): Promise<void> {
    try {
      await stat(join(this.#root, DRAFTS))
    } catch (error) {
      throw tierErrorOf(error, { store: this.name, operation })
    }
  }

  async #place(draft: string, key: string, { ifAbsent }: PutOptions): Promise<void> {
    const path = join(this.#root, key)
    const isPlaced = await this.#inTurn(async () => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      if (!ifAbsent) await rename(draft, path)
      return !ifAbsent || (await isLinked(draft, path))
    })
    // Whoever is told that it exists may rely on it, also when its writer crashed half-way.
    await this.#syncFolders(dirname(key))
    if (!isPlaced) throw new BrokerError('TIER_OBJECT_EXISTS', { store: this.name, key })
  }

  /** No folder is removed while an object is put into it. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#folders.then(work)
    this.#folders = done.catch(() => {})
    return done
  }

  /** All of them up to the root: somebody else may just have made one and not synced it yet. */
  async #syncFolders(folder: string): Promise<void> {
    for (let at = folder; at !== '.'; at = dirname(at))
      await syncDirectory(join(this.#root, at)).catch(ignore('ENOENT'))
    await syncDirectory(this.#root)
  }

  async #prune(folder: string): Promise<void> {
    const left = await this.#inTurn(async () => {
      let at = folder
      try {
        for (; at !== '.'; at = dirname(at)) await rmdir(join(this.#root, at))
      } catch (error) {
        if (!hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR')) throw error
      }
      return at
    })
    await syncDirectory(join(this.#root, left)).catch(ignore('ENOENT', 'ENOTDIR'))
  }

  async #read(key: string, range: GetOptions['range'], signal: AbortSignal): Promise<Buffer> {
    const file = await open(join(this.#root, key), 'r')
    try {
      const { size } = await file.stat()
      const { from, to } = range ?? { from: 0, to: size }
      const tooShort = () => new BrokerError('TIER_RANGE_ILLEGAL', { store: this.name, key, to })
      if (to > size) throw tooShort()
      const content = Buffer.allocUnsafe(to - from)
      for (let done = 0; done < content.length; ) {
        signal.throwIfAborted()
        const left = content.length - done
        const { bytesRead } = await file.read(content, done, left, from + done)
        if (bytesRead === 0) throw tooShort()
        done += bytesRead
      }
      return content
    } finally {
      await file.close()
    }
  }

  async #infoOf(key: string, operation: string): Promise<ObjectInfo | undefined> {
    try {
      const found = await stat(join(this.#root, key))
      if (!found.isFile()) return undefined
      return { key, bytes: found.size, modifiedMs: found.mtimeMs }
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw tierErrorOf(error, { store: this.name, operation })
    }
  }

  /** Keys below a folder (empty, or with a `/` at its end) that begin with `prefix`, in order. */
  async #keysIn(folder: string, prefix: string, operation: string): Promise<string[]> {
    const found = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(
      (error: unknown) => {
        if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
        throw tierErrorOf(error, { store: this.name, operation })
      },
    )
    // With its `/` a folder sorts as the keys in it do.
    const keys = found
      .filter((entry) => isObjectKey(entry.name))
      .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .filter((key) => key.startsWith(prefix))
      .sort()
    const below: string[] = []
    for (const key of keys)
      if (key.endsWith('/')) below.push(...(await this.#keysIn(key, prefix, operation)))
      else below.push(key)
    return below
  }
}

const writeDraft = async (
  path: string,
  parts: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> => {
  const file = await open(path, 'wx', 0o600)
  try {
    for (const part of parts) await file.writeFile(part, { signal })
    await file.sync()
  } finally {
    await file.close()
  }
}

const isLinked = (from: string, to: string): Promise<boolean> =>
  link(from, to).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, 'EEXIST')) return false
      throw error
    },
  )

const ignore =
  (...codes: string[]) =>
  (error: unknown): void => {
    if (!hasCode(error, ...codes)) throw error
  }
