import type { Clock } from '../../model/ports.ts'
import type { TierBuffers } from '../../model/tier/tier-admin.ts'
import { Allowance } from './allowance.ts'

export interface BufferPoolOptions {
  /** Of all buffers together; a larger one is given alone. */
  readonly bytesMax: number
  /** Buffers up to this size are used again; each takes so much. */
  readonly slabBytes: number
  /** What is not used for so long is given back to the system. */
  readonly idleMs: number
  readonly clock: Pick<Clock, 'after'>
}

/**
 * Memory for objects on their way, bounded in bytes and given by scope alone: nobody can forget
 * to give a buffer back, because nobody gets one to keep.
 */
export class BufferPool {
  readonly #options: BufferPoolOptions
  readonly #permits: Allowance
  readonly #free: Buffer[] = []
  #cancelIdle: (() => void) | undefined

  constructor(options: BufferPoolOptions) {
    this.#options = options
    this.#permits = new Allowance(options.bytesMax)
  }

  get gauges(): TierBuffers {
    const { users, inUse, max, highWater, waiters } = this.#permits
    return { buffers: users, bytes: inUse, bytesMax: max, highWaterBytes: highWater, waiters }
  }

  /** Memory that is kept for the next, besides what is in use. */
  get keptBytes(): number {
    return this.#free.length * this.#options.slabBytes
  }

  /**
   * Gives the work a buffer of `bytes`; its content is anything. The work must not use it once it
   * has returned. Work that fails may have left it with somebody who still reads it (a store
   * whose request could not be broken off), so then it is not used again.
   */
  use<Result>(
    bytes: number,
    signal: AbortSignal,
    work: (buffer: Buffer) => Promise<Result>,
  ): Promise<Result> {
    const size = Math.max(bytes, this.#options.slabBytes)
    return this.#permits.use(size, signal, async () => {
      const buffer = this.#take(size)
      const result = await work(buffer.subarray(0, bytes))
      this.#giveBack(buffer)
      return result
    })
  }

  /** Keeps nothing any more. */
  release(): void {
    this.#cancelIdle?.()
    this.#cancelIdle = undefined
    this.#free.length = 0
  }

  #take(size: number): Buffer {
    const { slabBytes } = this.#options
    if (size > slabBytes) this.release()
    return (size === slabBytes ? this.#free.pop() : undefined) ?? Buffer.allocUnsafeSlow(size)
  }

  #giveBack(buffer: Buffer): void {
    const { slabBytes, idleMs, clock } = this.#options
    if (buffer.length !== slabBytes) return
    this.#free.push(buffer)
    this.#cancelIdle?.()
    this.#cancelIdle = clock.after(idleMs, () => this.release())
  }
}
