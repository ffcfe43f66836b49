import { type SchedulerAction, type SchedulerLike, Subscription } from 'rxjs'
import type { Clock } from '../../model/ports.ts'

type Work<State> = (this: SchedulerAction<State>, state?: State) => void

/** Our clock as RxJS asks for the time: streams wait in the same time as everything else. */
export class ClockScheduler implements SchedulerLike {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'after'>

  constructor(clock: Pick<Clock, 'monotonicMs' | 'after'>) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.monotonicMs()
  }

  schedule<State>(work: Work<State>, delayMs = 0, state?: State): Subscription {
    return new ClockAction(this.#clock, work).schedule(state, delayMs)
  }
}

class ClockAction<State> extends Subscription implements SchedulerAction<State> {
  readonly #clock: Pick<Clock, 'after'>
  readonly #work: Work<State>
  #cancel: (() => void) | undefined

  constructor(clock: Pick<Clock, 'after'>, work: Work<State>) {
    super(() => this.#cancel?.())
    this.#clock = clock
    this.#work = work
  }

  schedule(state?: State, delayMs = 0): Subscription {
    if (this.closed) return this
    this.#cancel?.()
    this.#cancel = this.#clock.after(delayMs, () => this.#work.call(this, state))
    return this
  }
}
