import type { DeferredOutcome } from '../../model/deferred/deferred.ts'

/** Ids of one block: what is remembered is written by blocks. */
const OUTCOME_BLOCK_IDS = 1_024

export type DeferredStatus = 'none' | 'pending' | 'withdrawn' | 'released'

const NONE = 0
const PENDING = 1
const ENDED = 2
/** Periods are told apart modulo this. */
const PERIODS = 30_000
/** Periods for which an end is remembered. */
const PERIODS_KEPT = 24
/** Not swept for so long, all ends are forgotten: their periods could be mistaken. */
const PERIODS_UNSWEPT_MAX = 10_000

interface Block {
  readonly values: Uint16Array
  /** Values that say something. */
  used: number
}

const blockOf = (id: number): number => Math.floor(id / OUTCOME_BLOCK_IDS)

/**
 * What is known of every deferred message by its id, 2 bytes each: that it waits, or how it ended
 * within the last `memoryMs` (to a twenty-fourth of it). Ids are dense, so decisions about one
 * that is far in the future need no look at the disk.
 */
export class DeferredOutcomes {
  readonly #blocks = new Map<number, Block>()
  readonly #periodMs: number
  readonly dirty = new Set<number>()
  /** The period of the last sweep. */
  swept = 0

  constructor(memoryMs: number) {
    this.#periodMs = Math.max(1, memoryMs / PERIODS_KEPT)
  }

  status(id: number, nowMs: number): DeferredStatus {
    const value = this.#blocks.get(blockOf(id))?.values[id % OUTCOME_BLOCK_IDS] ?? NONE
    if (value === NONE) return 'none'
    if (value === PENDING) return 'pending'
    if (!this.#isRemembered(value, this.#periodOf(nowMs))) return 'none'
    return (value - ENDED) % 2 === 0 ? 'withdrawn' : 'released'
  }

  isPending(id: number): boolean {
    return this.#blocks.get(blockOf(id))?.values[id % OUTCOME_BLOCK_IDS] === PENDING
  }

  begin(id: number): void {
    this.#set(id, PENDING)
  }

  end(id: number, outcome: DeferredOutcome, atMs: number): void {
    if (outcome === 'dropped') {
      this.#set(id, NONE)
      return
    }
    const now = this.#periodOf(atMs)
    if (this.swept === 0) this.swept = now
    const period = now % PERIODS
    this.#set(id, ENDED + period * 2 + (outcome === 'withdrawn' ? 0 : 1))
  }

  /** Forgets what ended too long ago. Cheap while no period has passed. */
  sweep(nowMs: number): void {
    const now = this.#periodOf(nowMs)
    if (now <= this.swept) return
    const isStale = now - this.swept > PERIODS_UNSWEPT_MAX
    this.swept = now
    for (const [number, block] of this.#blocks) {
      let used = 0
      for (let index = 0; index < OUTCOME_BLOCK_IDS; index++) {
        const value = block.values[index] as number
        if (value < ENDED) used += value
        else if (!isStale && this.#isRemembered(value, now)) used++
        else {
          block.values[index] = NONE
          this.dirty.add(number)
        }
      }
      block.used = used
      if (used === 0) this.#blocks.delete(number)
    }
  }

  /** The values of a block, or undefined when there is nothing to say of it any more. */
  block(number: number): Uint16Array | undefined {
    return this.#blocks.get(number)?.values
  }

  has(number: number): boolean {
    return this.#blocks.has(number)
  }

  restore(number: number, values: Uint16Array): void {
    let used = 0
    for (const value of values) if (value !== NONE) used++
    this.#blocks.set(number, { values, used })
  }

  clear(): void {
    this.#blocks.clear()
    this.dirty.clear()
    this.swept = 0
  }

  #set(id: number, value: number): void {
    const number = blockOf(id)
    let block = this.#blocks.get(number)
    if (block === undefined) {
      if (value === NONE) return
      block = { values: new Uint16Array(OUTCOME_BLOCK_IDS), used: 0 }
      this.#blocks.set(number, block)
    }
    const index = id % OUTCOME_BLOCK_IDS
    const before = block.values[index] as number
    if (before === value) return
    block.values[index] = value
    block.used += (value === NONE ? 0 : 1) - (before === NONE ? 0 : 1)
    if (block.used === 0) this.#blocks.delete(number)
    this.dirty.add(number)
  }

  #periodOf(ms: number): number {
    return Math.floor(ms / this.#periodMs)
  }

  #isRemembered(value: number, now: number): boolean {
    const period = Math.floor((value - ENDED) / 2)
    const age = (((now - period) % PERIODS) + PERIODS) % PERIODS
    // A time that lies ahead was set by a clock that went back.
    return age <= PERIODS_KEPT || age > PERIODS / 2
  }
}
