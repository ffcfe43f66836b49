import type { Clock } from '../../model/ports.ts'
import { systemClock } from '../../index.ts'

/**
 * Time that stands still and is moved by hand, so that what is written has known times. What was
 * set to run later runs in real time: LevelDB does not wait for a simulation.
 */
export class HandClock implements Clock {
  readonly #startMs: number
  #nowMs = 0

  constructor(wallMs: number) {
    this.#startMs = wallMs
  }

  wallMs(): number {
    return this.#startMs + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(ms: number, task: () => void): () => void {
    return systemClock.after(ms, task)
  }

  soon(task: () => void): void {
    systemClock.soon(task)
  }

  advance(ms: number): void {
    this.#nowMs += ms
  }
}
