import type { Check } from '../../model/doctor.ts'
import type { Clock } from '../../model/ports.ts'

const WATCHED_MS = 300
const STEP_MS_MAX = 20

/** Watches wall time against monotonic time for a moment: they go on together unless it is set. */
export const checkClockSteps = async (clock: Clock): Promise<Check> => {
  const skew = (): number => clock.wallMs() - clock.monotonicMs()
  const before = skew()
  await new Promise<void>((resolve) => void clock.after(WATCHED_MS, resolve))
  const stepMs = Math.round(skew() - before)
  if (Math.abs(stepMs) <= STEP_MS_MAX)
    return { name: 'clock', state: 'ok', says: 'wall and monotonic time go on together' }
  return {
    ...{ name: 'clock', state: 'warning' },
    says: `the wall clock was moved by ${stepMs} ms while it was watched`,
    remedy: 'Let the clock be slewed, not stepped (chrony, ntpd -x).',
  }
}
