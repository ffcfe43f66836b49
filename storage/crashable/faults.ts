import { BrokerError } from '../../model/errors.ts'

export interface Fault {
  readonly error: 'ENOSPC' | 'EIO'
  /** How many operations fail. Without it, all until the faults are healed. */
  readonly count?: number
}

export interface WriteFault extends Fault {
  /**
   * What the failed write leaves in the log. `torn`: the append broke off, and LevelDB goes on
   * as if nothing had happened. `whole`: the sync failed, and LevelDB refuses every later write
   * on the handle. `nothing`: the append never began. Default `torn`.
   */
  readonly leaves?: 'torn' | 'whole' | 'nothing'
}

/** What is wrong with the medium of one database. */
export class Faults {
  slowMs = 0
  #writes: Countdown<WriteFault> | undefined
  #reads: Countdown<Fault> | undefined
  #opens: Countdown<Fault> | undefined
  #isHanging = false
  #waiting: (() => void)[] = []

  failWrites(fault: WriteFault): void {
    this.#writes = countdown(fault)
  }

  failReads(fault: Fault): void {
    this.#reads = countdown(fault)
  }

  failOpens(fault: Fault): void {
    this.#opens = countdown(fault)
  }

  nextWrite = (): WriteFault | undefined => this.#writes?.()
  nextRead = (): Fault | undefined => this.#reads?.()
  nextOpen = (): Fault | undefined => this.#opens?.()

  hang(): void {
    this.#isHanging = true
  }

  /** What was held goes on, in its order. */
  resume(): void {
    this.#isHanging = false
    for (const task of this.#waiting.splice(0)) task()
  }

  /** Runs the task now, or as soon as nothing hangs. */
  unlessHanging(task: () => void): void {
    if (this.#isHanging) this.#waiting.push(task)
    else task()
  }

  heal(): void {
    this.slowMs = 0
    this.#writes = this.#reads = this.#opens = undefined
    this.resume()
  }
}

type Countdown<Kind extends Fault> = () => Kind | undefined

const countdown = <Kind extends Fault>(fault: Kind): Countdown<Kind> => {
  let left = fault.count ?? Infinity
  return () => (left-- > 0 ? fault : undefined)
}

/** The refusal that a LevelDB on such a medium would give, through its adapter. */
export const unavailable = (
  store: string,
  operation: string,
  cause?: Fault['error'] | 'POWER_CUT',
): BrokerError => {
  const options = cause && {
    cause: Object.assign(new Error(`IO error: ${cause}`), { code: cause }),
  }
  return new BrokerError('STORE_UNAVAILABLE', { store, operation }, options)
}
