import { CHUNK_HEADER_BYTES } from '../../storage/codec/chunk.ts'
import type { SealedChunk } from '../../storage/log/chunk-log.ts'

/** A queue as the log sees it: told which of its units became durable, or were never written. */
export interface CommitTarget {
  /** The chunk that last took a unit of this queue, and where its end stands there. */
  touchedIn: PendingChunk | undefined
  touchedAt: number
  /** Everything below `offsetEnd` is synced now. */
  commit(offsetEnd: number): void
  /** Nothing beyond what was committed came to be: forget it, the offsets are free again. */
  rollBack(): void
}

export interface Waiter {
  resolve(): void
  reject(error: unknown): void
}

/** What follows from a rare durable fact: once it is synced, or once it is known to be gone. */
export interface Consequence {
  synced?(): void
  gone?(): void
}

/** A chunk between admission and sync: bytes, and who waits for them. */
export class PendingChunk {
  readonly offset: number
  readonly #region: Buffer
  used = CHUNK_HEADER_BYTES
  count = 0
  /** Of these, facts that nobody waits for, and their bytes. */
  bufferedCount = 0
  bufferedBytes = 0
  /** When its oldest fact was admitted, monotonic. */
  sinceMs: number | undefined
  waiters: Waiter[] = []
  readonly consequences: Consequence[] = []
  readonly targets: CommitTarget[] = []
  readonly targetEnds: number[] = []
  sealed: SealedChunk | undefined

  constructor(offset: number, region: Buffer) {
    this.offset = offset
    this.#region = region
  }

  get region(): Buffer {
    return this.#region
  }

  get bytes(): Buffer {
    return this.#region.subarray(0, this.used)
  }

  fits(size: number): boolean {
    return this.used + size <= this.#region.length
  }

  /** Answers everybody who waits; once. */
  settle(error?: unknown): void {
    const { waiters } = this
    this.waiters = []
    for (const waiter of waiters) {
      if (error === undefined) waiter.resolve()
      else waiter.reject(error)
    }
  }

  /** The chunk is on disk: what it holds becomes visible, then the answers go out. */
  becomeVisible(): void {
    for (let index = 0; index < this.targets.length; index++)
      this.targets[index]?.commit(this.targetEnds[index] as number)
    for (const consequence of this.consequences) consequence.synced?.()
    this.settle()
  }

  /** The chunk is not on disk and never will be. */
  becomeGone(error: unknown): void {
    for (const consequence of this.consequences.toReversed()) consequence.gone?.()
    for (const target of this.targets) target.rollBack()
    this.settle(error)
  }

  touch(target: CommitTarget, offsetEnd: number): void {
    if (target.touchedIn === this) {
      this.targetEnds[target.touchedAt] = offsetEnd
      return
    }
    target.touchedIn = this
    target.touchedAt = this.targets.length
    this.targets.push(target)
    this.targetEnds.push(offsetEnd)
  }
}
