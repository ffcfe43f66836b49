import { BrokerError } from '../../model/errors.ts'
import type { Logger } from '../../model/ports.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { Supervision } from '../system/supervision.ts'
import type { BrokerSettings } from './settings.ts'
import type { BrokerState } from './broker-state.ts'

/** What the registries of topics and groups stand on. */
export interface RegistryDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: { wallMs(): number }
  readonly logger: Logger
  readonly supervision: Supervision
  readonly settings: BrokerSettings
}

/** Who waits for the end of an owner. */
export interface EndWaiter {
  resolve(): void
  reject(error: unknown): void
}

/** One running change per name: whoever asks for the same meanwhile gets the same answer. */
export class InFlight<Result> {
  readonly #running = new Map<string, Promise<Result>>()

  run(name: string, work: () => Promise<Result>): Promise<Result> {
    const running = this.#running.get(name)
    if (running) return running
    const started = work().finally(() => this.#running.delete(name))
    this.#running.set(name, started)
    return started
  }
}

/** Ids are given out once, also to creations that fail. */
export const nextOwnerId = (state: BrokerState): number => state.nextOwnerId++

export const tooMany = (what: string, max: number) =>
  new BrokerError('TOPICS_TOO_MANY', { what, max })
