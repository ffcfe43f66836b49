import type { Clock } from '../../model/ports.ts'

/** Node's timers may call up to half a millisecond early; a deadline is never early here. */
const EARLY_MS = 0.5
const TIMER_MS_MAX = 2 ** 31 - 1

interface NodeTime {
  readonly wallMs: () => number
  readonly monotonicMs: () => number
  readonly setTimer: (task: () => void, ms: number) => unknown
  readonly clearTimer: (timer: unknown) => void
  readonly setSoon: (task: () => void) => void
}

/** A `Clock` on the timers of the process, which the composition root passes in. */
export const clockOf = (time: NodeTime): Clock => ({
  wallMs: time.wallMs,
  monotonicMs: time.monotonicMs,
  soon: time.setSoon,
  after: (ms, task) => {
    const dueMs = time.monotonicMs() + ms
    let timer: unknown
    const arm = (leftMs: number): void => {
      timer = time.setTimer(ring, Math.min(TIMER_MS_MAX, Math.max(0, leftMs)))
    }
    const ring = (): void => {
      const leftMs = dueMs - time.monotonicMs()
      if (leftMs > 0) arm(Math.max(EARLY_MS, leftMs))
      else task()
    }
    arm(ms)
    return () => time.clearTimer(timer)
  },
})
