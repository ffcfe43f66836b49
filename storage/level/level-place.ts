import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { BrokerError } from '../../model/errors.ts'
import type { Random } from '../../model/ports.ts'
import type { Database } from '../ports/database.ts'
import type { Ballast, DatabaseName, DiskUsage, Place } from '../ports/place.ts'
import { createData, isNewDataDir, LOCK_DIRECTORY, readSecret } from './data-format.ts'
import { FileBallast } from './file-ballast.ts'
import { createDirectory, syncDirectory } from '../files/durable-files.ts'
import { LevelDatabase } from './level-database.ts'
import { attempt, causeWithCode } from './level-errors.ts'

const MIB = 1024 * 1024
export const BALLAST_FILE = 'ballast'

export interface LevelPlaceOptions {
  readonly dataDir: string
  readonly random: Random
  /** The version, noted for people in a new directory. */
  readonly createdBy?: string
  /** Per database; LevelDB may hold two at a time. */
  readonly writeBufferBytes?: number
  /** Per database. */
  readonly cacheBytes?: number
  /** By default enough to write out a full write buffer, which is what reopening takes. */
  readonly ballastBytes?: number
}

/**
 * A directory that one process at a time may use.
 *
 * It is locked by a third, empty LevelDB: the operating system drops that lock when its holder
 * dies, and unlike the locks of the two databases it stays while those are closed and reopened
 * after a failed write.
 */
export class LevelPlace implements Place {
  readonly name: string
  readonly secret: Uint8Array
  readonly ballast: Ballast
  readonly #lock: Level
  readonly #sizes: { readonly writeBufferBytes: number; readonly cacheBytes: number }
  readonly #handles = new Map<DatabaseName, Promise<LevelDatabase>>()
  #closing: Promise<void> | undefined

  private constructor(options: LevelPlaceOptions, held: { lock: Level; secret: Uint8Array }) {
    const { dataDir, random, writeBufferBytes = 32 * MIB, cacheBytes = 16 * MIB } = options
    const sizeBytes = options.ballastBytes ?? writeBufferBytes + 8 * MIB
    this.name = dataDir
    this.secret = held.secret
    this.ballast = new FileBallast({ path: join(dataDir, BALLAST_FILE), sizeBytes, random })
    this.#lock = held.lock
    this.#sizes = { writeBufferBytes, cacheBytes }
  }

  /** Creates what is missing. Throws `DATA_FORMAT_UNKNOWN`, `DATA_DIR_FOREIGN` or `DATA_DIR_LOCKED`. */
  static open(options: LevelPlaceOptions): Promise<LevelPlace> {
    const { dataDir, random, createdBy = 'of unknown version' } = options
    return attempt({ store: dataDir, operation: 'be opened' }, async () => {
      await createDirectory(dataDir)
      // Before the lock, so that refusing changes nothing; and with it, so that one creates.
      await isNewDataDir(dataDir)
      const lock = await takeLock(dataDir)
      try {
        if (await isNewDataDir(dataDir)) await createData(dataDir, { random, createdBy })
        return new LevelPlace(options, { lock, secret: await readSecret(dataDir) })
      } catch (error) {
        await lock.close()
        throw error
      }
    })
  }

  async openDatabase(name: DatabaseName): Promise<Database> {
    if (this.#closing !== undefined)
      throw new BrokerError('STORE_UNAVAILABLE', { store: name, operation: 'be opened' })
    if (this.#handles.has(name))
      throw new BrokerError('STORE_UNAVAILABLE', { store: name, operation: 'be opened twice' })
    const opening = this.#open(name)
    this.#handles.set(name, opening)
    try {
      return await opening
    } catch (error) {
      this.#handles.delete(name)
      throw error
    }
  }

  async diskUsage(): Promise<DiskUsage> {
    return attempt({ store: this.name, operation: 'be measured' }, async () => {
      const { blocks, bavail, bsize } = await statfs(this.name)
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
    })
  }

  close(): Promise<void> {
    this.#closing ??= attempt({ store: this.name, operation: 'close' }, async () => {
      const handles = await Promise.allSettled(this.#handles.values())
      for (const handle of handles) if (handle.status === 'fulfilled') await handle.value.close()
      await this.#lock.close()
    })
    return this.#closing
  }

  async #open(name: DatabaseName): Promise<LevelDatabase> {
    const database = await LevelDatabase.open({
      name,
      location: join(this.name, name),
      // Bodies are large and often compressed already; what is derived from them is neither.
      isCompressed: name === 'index',
      closed: () => this.#handles.delete(name),
      ...this.#sizes,
    })
    await syncDirectory(this.name)
    return database
  }
}

const takeLock = async (dataDir: string): Promise<Level> => {
  try {
    return await openLock(dataDir)
  } catch (error) {
    if (causeWithCode(error, 'LEVEL_LOCKED'))
      throw new BrokerError('DATA_DIR_LOCKED', { dataDir }, { cause: error })
    // Perhaps the disk is full, and this is the start after a crash that the ballast is for.
    await rm(join(dataDir, BALLAST_FILE), { force: true })
    return openLock(dataDir)
  }
}

const openLock = async (dataDir: string): Promise<Level> => {
  const lock = new Level(join(dataDir, LOCK_DIRECTORY))
  await lock.open()
  return lock
}
