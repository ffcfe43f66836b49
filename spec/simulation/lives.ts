import { CoreBroker } from '../../actors/broker/broker.ts'
import { type BrokerSettings, brokerDefaults } from '../../actors/broker/settings.ts'
import type { TierComponents } from '../../actors/tier/components.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import type { PlaceEvent } from '../../storage/crashable/crashable-events.ts'
import { CrashablePlace } from '../../storage/crashable/crashable-place.ts'
import { seededRandom } from '../support/random.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

/** Small enough that every bound is met, every cache evicts and extents come and go. */
export const tinySettings: BrokerSettings = {
  ...brokerDefaults,
  commitLog: {
    bytesMax: 24 << 10,
    chunkBytes: 512,
    slabBytes: 2 << 10,
    commitChunksMax: 3,
    writeTimeoutMs: 3_000,
    outcomeDeadlineMs: 1_000,
    bufferedLingerMs: 10,
    cacheBytes: 2 << 10,
    roomWaitersMax: 100,
    roomWaitMs: 3_000,
    backoff: { msBase: 50, msMax: 1_000 },
  },
  indexTimeoutMs: 3_000,
  receiver: { unackedMax: 40, unackedTotalMax: 200, scanMax: 8 },
  parking: { perKeyMax: 16, totalMax: 32 },
  reclaim: { extentBytes: 4 << 10, carryBelow: 0.5, reclaimMs: 60_000 },
  messageIndex: { rangeBytes: 3 << 10, rangeNamesMax: 24, turnBytes: 1 << 10 },
  upkeepRestMs: 2_000,
  checkpointBytes: 8 << 10,
  blockCacheBytes: 16 << 10,
}

/** One life of a process: a clock that stops when it dies, and a broker on it. */
export interface Life {
  readonly number: number
  readonly broker: CoreBroker
  /** Nothing of it runs any more. */
  die(): void
  readonly isAlive: boolean
  /** Timers that it has set and that did not expire. */
  readonly timers: number
}

/** The world under a broker: a medium, time, and what was seen of both. */
export class Lives {
  readonly clock = new SimulatedClock()
  readonly place: CrashablePlace
  readonly events: PlaceEvent[] = []
  /** How often each line was logged. */
  readonly logged = new Map<string, number>()
  readonly lines: string[] = []
  readonly #settings: BrokerSettings
  readonly #tier: ((clock: Clock) => TierComponents) | undefined
  readonly #onEvent: (event: PlaceEvent) => void
  #lives = 0

  constructor(
    seed: number,
    settings: BrokerSettings,
    onEvent: (event: PlaceEvent) => void,
    tier?: (clock: Clock) => TierComponents,
  ) {
    this.#settings = settings
    this.#tier = tier
    this.#onEvent = onEvent
    this.place = new CrashablePlace({
      random: seededRandom(seed),
      clock: this.clock,
      onEvent: (event) => this.#onEvent(event),
    })
  }

  async open(): Promise<Life> {
    const clock = new LifeClock(this.clock)
    const components = {
      clock,
      logger: this.#logger(),
      place: this.place.boot(),
      inspect: undefined,
      tier: this.#tier?.(clock),
    }
    const broker = await this.clock.until(CoreBroker.open(components, this.#settings))
    return {
      number: ++this.#lives,
      broker,
      die: () => clock.stop(),
      get isAlive() {
        return clock.isRunning
      },
      get timers() {
        return clock.timers
      },
    }
  }

  #logger(): Logger {
    const note =
      (level: string) =>
      (fields: Readonly<Record<string, unknown>>, message: string): void => {
        this.logged.set(message, (this.logged.get(message) ?? 0) + 1)
        if (Number(fields['carried']) > 0)
          this.logged.set('carried forward', (this.logged.get('carried forward') ?? 0) + 1)
        this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
      }
    return { info: note('info'), warn: note('warn'), error: note('error') }
  }
}

/** Time as one process sees it: when it dies, what it had set never happens. */
class LifeClock implements Clock {
  readonly #clock: SimulatedClock
  isRunning = true
  timers = 0

  constructor(clock: SimulatedClock) {
    this.#clock = clock
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(ms: number, task: () => void): () => void {
    let isSet = true
    this.timers++
    const unset = (): void => {
      if (isSet) this.timers--
      isSet = false
    }
    const cancel = this.#clock.after(ms, () => {
      unset()
      if (this.isRunning) task()
    })
    return () => {
      unset()
      cancel()
    }
  }

  soon(task: () => void): void {
    this.#clock.soon(() => {
      if (this.isRunning) task()
    })
  }

  stop(): void {
    this.isRunning = false
  }
}
