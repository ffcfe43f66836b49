import { open, rm, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Random } from '../../model/ports.ts'
import type { Ballast } from '../ports/place.ts'
import { attempt, causeWithCode } from './level-errors.ts'

const BLOCK_BYTES = 1024 * 1024

export interface FileBallastOptions {
  readonly path: string
  readonly sizeBytes: number
  readonly random: Random
}

/** A file of real bytes, given up when the disk is full so that LevelDB can be opened again. */
export class FileBallast implements Ballast {
  readonly #path: string
  readonly #sizeBytes: number
  readonly #random: Random

  constructor({ path, sizeBytes, random }: FileBallastOptions) {
    this.#path = path
    this.#sizeBytes = sizeBytes
    this.#random = random
  }

  release(): Promise<void> {
    return this.#attempt('be released', () => rm(this.#path, { force: true }))
  }

  restore(): Promise<boolean> {
    return this.#attempt('be restored', async () => {
      if (await this.#isWhole()) return true
      // A refusal foreseen spares the others on this disk a moment without any room.
      if (!(await this.#hasRoom())) return false
      try {
        await this.#fill()
        return true
      } catch (error) {
        await rm(this.#path, { force: true })
        if (causeWithCode(error, 'ENOSPC', 'EDQUOT')) return false
        throw error
      }
    })
  }

  async #isWhole(): Promise<boolean> {
    const file = await stat(this.#path).catch(() => undefined)
    return file?.size === this.#sizeBytes
  }

  async #hasRoom(): Promise<boolean> {
    // What is left of an earlier try would only be written over.
    await rm(this.#path, { force: true })
    const { bavail, bsize } = await statfs(dirname(this.#path))
    return bavail * bsize >= this.#sizeBytes
  }

  async #fill(): Promise<void> {
    // Random, because a file system may store zeros as nothing.
    const block = this.#random.bytes(BLOCK_BYTES)
    const file = await open(this.#path, 'w', 0o600)
    try {
      for (let left = this.#sizeBytes; left > 0; left -= BLOCK_BYTES)
        await file.appendFile(left < BLOCK_BYTES ? block.subarray(0, left) : block)
      // Some file systems find out only now that there is no room.
      await file.sync()
    } finally {
      await file.close()
    }
  }

  #attempt<T>(operation: string, work: () => Promise<T>): Promise<T> {
    return attempt({ store: 'the ballast', operation }, work)
  }
}
