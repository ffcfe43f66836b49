import type { Clock, Random } from '../../model/ports.ts'
import type { Database } from '../ports/database.ts'
import {
  databaseNames,
  type Ballast,
  type DatabaseName,
  type DiskUsage,
  type Place,
} from '../ports/place.ts'
import { CrashableDatabase } from './crashable-database.ts'
import type { PlaceEvent } from './crashable-events.ts'
import { Faults, unavailable, type Fault, type WriteFault } from './faults.ts'
import { WriteAheadLog } from './write-ahead-log.ts'

const DISK_BYTES = 2 ** 40
const BALLAST_BYTES = 40 * 2 ** 20

interface Medium {
  readonly log: WriteAheadLog
  readonly faults: Faults
  handle: CrashableDatabase | 'opening' | undefined
}

export interface CrashablePlaceOptions {
  readonly random: Random
  /** Every completion comes from it, so that a seed replays a whole broker. */
  readonly clock: Clock
  readonly onEvent?: (event: PlaceEvent) => void
}

/**
 * A place in memory that loses power, fills up, hangs and rots when told to, and loses then what
 * LevelDB would lose. For specs and simulations.
 */
export class CrashablePlace implements Place {
  readonly name = 'crashable memory'
  readonly secret: Uint8Array
  readonly ballast: Ballast = {
    release: async () => this.#releaseBallast(),
    restore: async () => this.#restoreBallast(),
  }
  /** Writes started so far, in each database; a `clear` counts as one. */
  readonly writes: Record<DatabaseName, number> = { 'commit-log': 0, index: 0 }
  readonly #clock: Clock
  readonly #onEvent: (event: PlaceEvent) => void
  readonly #media: Readonly<Record<DatabaseName, Medium>> = {
    'commit-log': { log: new WriteAheadLog(), faults: new Faults(), handle: undefined },
    index: { log: new WriteAheadLog(), faults: new Faults(), handle: undefined },
  }
  #lives = 0
  #freeBytes = DISK_BYTES / 2
  #isDiskFull = false
  #hasBallast = false

  constructor({ random, clock, onEvent = () => {} }: CrashablePlaceOptions) {
    this.secret = random.bytes(32)
    this.#clock = clock
    this.#onEvent = onEvent
  }

  async openDatabase(name: DatabaseName): Promise<Database> {
    const medium = this.#media[name]
    if (medium.handle !== undefined) throw unavailable(name, 'be opened twice')
    medium.handle = 'opening'
    const life = this.#lives
    await new Promise<void>((resolve) => this.#clock.soon(resolve))
    if (life !== this.#lives) throw unavailable(name, 'be opened', 'POWER_CUT')
    const fault = medium.faults.nextOpen()?.error ?? (this.#canReopen() ? undefined : 'ENOSPC')
    if (fault !== undefined) {
      medium.handle = undefined
      this.#emit({ type: 'database.refused', database: name })
      throw unavailable(name, 'be opened', fault)
    }
    medium.handle = this.#handleOf(name, medium)
    this.#emit({ type: 'database.opened', database: name })
    return medium.handle
  }

  async diskUsage(): Promise<DiskUsage> {
    const unreserved = this.#hasBallast ? 0 : BALLAST_BYTES
    return { totalBytes: DISK_BYTES, freeBytes: this.#isDiskFull ? unreserved : this.#freeBytes }
  }

  async close(): Promise<void> {
    for (const { handle } of Object.values(this.#media))
      if (handle instanceof CrashableDatabase) await handle.close()
  }

  /**
   * The place as one process sees it: after the next crash it opens nothing any more. So a broker
   * that a simulation has let die cannot come back and compete with its successor.
   */
  boot(): Place {
    const life = this.#lives
    const isAlive = () => life === this.#lives
    return {
      name: this.name,
      secret: this.secret,
      openDatabase: async (name) => {
        if (!isAlive()) throw unavailable(name, 'be opened', 'POWER_CUT')
        return this.openDatabase(name)
      },
      diskUsage: () => this.diskUsage(),
      ballast: {
        release: async () => {
          if (isAlive()) await this.ballast.release()
        },
        restore: async () => isAlive() && this.ballast.restore(),
      },
      close: async () => {
        if (isAlive()) await this.close()
      },
    }
  }

  /**
   * The power goes. Each database keeps what was synced and, chosen by the seed, none, some or
   * all of the later batches in their order. Open handles are dead; the place can be opened
   * again. Faults stay: they are the medium's.
   */
  crash(seed: number): void {
    this.#lives++
    for (const [index, name] of databaseNames.entries()) {
      const medium = this.#media[name]
      if (medium.handle instanceof CrashableDatabase) medium.handle.crash()
      medium.handle = undefined
      medium.log.crash((countMax) =>
        Math.floor(fractionOf(seed * databaseNames.length + index) * (countMax + 1)),
      )
    }
    this.#emit({ type: 'place.crashed' })
  }

  failWrites(name: DatabaseName, fault: WriteFault): void {
    this.#media[name].faults.failWrites(fault)
  }

  failReads(name: DatabaseName, fault: Fault): void {
    this.#media[name].faults.failReads(fault)
  }

  failOpens(name: DatabaseName, fault: Fault): void {
    this.#media[name].faults.failOpens(fault)
  }

  /** Each later write takes this long; 0 is the default again. */
  slowWrites(name: DatabaseName, ms: number): void {
    this.#media[name].faults.slowMs = ms
  }

  /** Writes neither succeed nor fail, and closing waits for them, until they are resumed. */
  hangWrites(name: DatabaseName): void {
    this.#media[name].faults.hang()
  }

  resumeWrites(name: DatabaseName): void {
    this.#media[name].faults.resume()
  }

  /** Ends every injected fault of both databases. What was lost stays lost. */
  heal(): void {
    for (const { faults } of Object.values(this.#media)) faults.heal()
  }

  /** Rots one value, on the medium and in the open handle. `mutate` gets a copy. */
  corrupt(name: DatabaseName, key: Uint8Array, mutate: (value: Uint8Array) => Uint8Array): void {
    const { log, handle } = this.#media[name]
    log.corrupt(key, mutate)
    if (handle instanceof CrashableDatabase) handle.corrupt(key, mutate)
  }

  /**
   * No room: every write fails and leaves a torn record; opening fails too, unless the ballast
   * was released; the ballast cannot be restored.
   */
  fillDisk(): void {
    this.#isDiskFull = true
  }

  freeDisk(freeBytes: number = DISK_BYTES / 2): void {
    this.#isDiskFull = false
    this.#freeBytes = freeBytes
  }

  #handleOf(name: DatabaseName, medium: Medium): CrashableDatabase {
    return new CrashableDatabase({
      name,
      clock: this.#clock,
      log: medium.log,
      faults: medium.faults,
      isDiskFull: () => this.#isDiskFull,
      emit: (event) => {
        if (event.type === 'write.started') this.writes[name]++
        this.#emit(event)
      },
      closed: () => {
        medium.handle = undefined
        this.#emit({ type: 'database.closed', database: name })
      },
    })
  }

  #canReopen(): boolean {
    return !this.#isDiskFull || !this.#hasBallast
  }

  #releaseBallast(): void {
    this.#hasBallast = false
    this.#emit({ type: 'ballast.released' })
  }

  #restoreBallast(): boolean {
    if (this.#isDiskFull) return this.#hasBallast
    this.#hasBallast = true
    this.#emit({ type: 'ballast.restored' })
    return true
  }

  #emit(event: PlaceEvent): void {
    this.#onEvent(event)
  }
}

/** A number in [0, 1) that looks random and depends on the seed alone. */
const fractionOf = (seed: number): number => {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35)
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32
}
