import { createActor, fromPromise } from 'xstate'
import { upkeepMachine } from '../../machines/upkeep/upkeep.machine.ts'
import { checkpoint } from '../checkpoint/checkpoint.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { LoopDescription } from '../../model/admin.ts'
import { loopOf } from '../system/loop.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import { LoopClock } from '../system/xstate-clock.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { MessageIndex } from '../messages/message-index.ts'
import type { DiskWatch } from './disk-watch.ts'
import type { DeferredCarrierDeps } from './carry-deferred.ts'
import { type ReclaimSettings, reclaimLog } from './reclaim.ts'
import { type LocalRetention, trimExpired } from './trim.ts'

export interface UpkeepDeps extends ActorSystemDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly disk: DiskWatch
  readonly messageIndex: MessageIndex
  readonly restMs: number
  readonly checkpointBytes: number
  readonly reclaim: ReclaimSettings
  readonly local: LocalRetention
  readonly deferred: DeferredCarrierDeps
  readonly sweep: { sweep(): Promise<void> }
}

/** Bytes of log whose ids and keys are indexed in one round: a rebuild takes many. */
const INDEXED_MAX_BYTES = 256 << 20

/** The housekeeping loop, and the one place that knows how far the index reaches. */
export class Upkeep {
  readonly #deps: UpkeepDeps
  readonly #actor
  readonly #clock: LoopClock
  /** Facts before this chunk are in the index. */
  checkpointedTo = 0
  #pressedAt = 0

  constructor(deps: UpkeepDeps) {
    this.#deps = deps
    const { log, state, clock, logger } = deps
    this.#clock = new LoopClock(clock)
    const shared = {
      ...deps,
      settings: deps.reclaim,
      checkpointed: () => this.checkpointedTo,
      trims: { finishedIn: 0 },
    }
    const whenWriting = (work: () => Promise<void>) => async () => {
      if (log.mode === 'writing') await work()
    }
    const machine = upkeepMachine.provide({
      actors: {
        watchDisk: fromPromise(() => deps.disk.look()),
        trimExpired: fromPromise(
          whenWriting(async () => {
            await trimExpired({
              ...{ state, log, index: deps.index, clock, logger },
              local: deps.local,
              isPressed: () => deps.disk.level !== 'roomy',
            })
            if (deps.index.isOpen) await deps.sweep.sweep()
          }),
        ),
        writeCheckpoint: fromPromise(whenWriting(() => this.checkpoint())),
        indexMessages: fromPromise(
          whenWriting(async () => {
            await deps.messageIndex.catchUp(INDEXED_MAX_BYTES)
          }),
        ),
        reclaimLog: fromPromise(
          whenWriting(async () => {
            await reclaimLog(shared)
            await deps.messageIndex.dropReclaimed()
          }),
        ),
      },
    })
    this.#actor = createActor(machine, {
      id: 'upkeep',
      systemId: 'upkeep',
      clock: this.#clock,
      ...(deps.inspect ? { inspect: deps.inspect } : {}),
      input: { restMs: deps.restMs, backoff: { msBase: 200, msMax: 30_000 } },
    })
    this.#actor.subscribe({
      error: (error) => logger.error({ error: String(error) }, 'upkeep failed'),
    })
  }

  get loop(): LoopDescription {
    return loopOf('upkeep', this.#actor, this.#clock)
  }

  start(): void {
    this.#actor.start()
  }

  stop(): void {
    this.#actor.send({ type: 'upkeep.stop' })
    this.#actor.stop()
  }

  /** Called once per commit: presses for a checkpoint when much is only in the log. */
  committed(): void {
    const { log, checkpointBytes } = this.#deps
    const ahead = log.syncedOffset - Math.max(this.checkpointedTo, this.#pressedAt)
    if (ahead < checkpointBytes || this.#actor.getSnapshot().status !== 'active') return
    this.#pressedAt = log.syncedOffset
    this.#actor.send({ type: 'upkeep.press' })
  }

  /** One at a time, also when called by hand. */
  checkpoint(): Promise<void> {
    const { index, log } = this.#deps
    return index.exclusive(async () => {
      // Also when nothing is dirty: a failed write has closed it, and others wait for it.
      await index.open()
      const begun = log.chunkStart
      if (begun === this.checkpointedTo && !this.#isDirty()) return
      await checkpoint(this.#deps)
      this.checkpointedTo = begun
    })
  }

  #isDirty(): boolean {
    const { dirtyTopics, dirtyGroups, dirtyCells, deferred } = this.#deps.state
    if (dirtyTopics.size + dirtyGroups.size + dirtyCells.size > 0) return true
    return deferred.timer.isDirty || deferred.transaction.isDirty
  }
}
