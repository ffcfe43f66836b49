import { createActor, fromCallback, fromPromise } from 'xstate'
import { slotState } from '../../machines/timer-wheel/deferred-table.ts'
import {
  type FiringOutcome,
  timerWheelMachine,
} from '../../machines/timer-wheel/timer-wheel.machine.ts'
import { isBrokerError } from '../../model/errors.ts'
import type { DeferredMessage } from '../../storage/codec/deferred-fact.ts'
import type { Admitted, CommitLog } from '../commit-log/commit-log.ts'
import type { LoopDescription } from '../../model/admin.ts'
import { loopOf } from '../system/loop.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import { LoopClock } from '../system/xstate-clock.ts'
import type { DeferredStore } from './deferred-store.ts'

export interface TimerWheelSettings {
  /** Fired in one turn, at most. */
  readonly batchMax: number
  /** Batches admitted and not yet synced. */
  readonly batchesMax: number
  /** After a batch the next one comes so much later, so that crowded times share their batches. */
  readonly tickMs: number
  /** The wall clock is compared with the monotonic one at least so often. */
  readonly jumpCheckMs: number
  /** Two clocks that part by more have been set. */
  readonly jumpMs: number
}

export interface TimerWheelDeps extends ActorSystemDeps {
  readonly name: string
  readonly store: DeferredStore
  readonly log: CommitLog
  readonly settings: TimerWheelSettings
  /**
   * Admits what follows when a message is due, in this turn. Undefined: nothing does, now. A
   * refusal of the log, or of the topic, holds the wheel.
   */
  readonly fire: (slot: number, message: DeferredMessage) => Admitted | undefined
}

/** Something to hold on for while the log or a topic takes nothing. */
const isHold = (error: unknown): boolean =>
  isBrokerError(error, 'STORE_UNAVAILABLE', 'THROTTLED', 'DISK_FULL', 'BROKER_CLOSED')

/** Gives `timerWheelMachine` its hands: what waits in the set is fired when it is due. */
export class TimerWheel {
  readonly #deps: TimerWheelDeps
  readonly #actor
  readonly #chartClock: LoopClock
  /** Admitted and not synced yet, oldest first. */
  readonly #batches = new Set<Promise<void>>()
  #rearm: (() => void) | undefined
  #skewMs = 0
  #firedAtMs = Number.NEGATIVE_INFINITY
  #isStopped = false

  constructor(deps: TimerWheelDeps) {
    this.#deps = deps
    const { clock, logger, name, store, settings } = deps
    this.#chartClock = new LoopClock(clock)
    const machine = timerWheelMachine.provide({
      actions: {
        noteJump: (_, { ms }) => logger.warn({ wheel: name, ms }, 'the wall clock was set'),
      },
      actors: {
        loadNear: fromPromise(async () => {
          this.#skewMs = this.#skew
          await store.reach(clock.wallMs())
        }),
        waitForDue: fromCallback(({ sendBack }) => this.#wait(sendBack)),
        fireDue: fromPromise(() => this.#fireDue()),
      },
    })
    this.#actor = createActor(machine, {
      id: name,
      systemId: name,
      clock: this.#chartClock,
      ...(deps.inspect ? { inspect: deps.inspect } : {}),
      input: { backoff: { msBase: 50, msMax: 5_000 }, heldMs: Math.max(10, settings.tickMs * 10) },
    })
    this.#actor.subscribe({
      error: (error) => logger.error({ wheel: name, error: String(error) }, 'a timer wheel failed'),
    })
    store.set.onEarlier = () => this.#rearm?.()
  }

  get name(): string {
    return this.#deps.name
  }

  get loop(): LoopDescription {
    return loopOf(this.name, this.#actor, this.#chartClock)
  }

  start(): void {
    this.#actor.start()
  }

  stop(): void {
    this.#isStopped = true
    this.#rearm = undefined
    this.#actor.send({ type: 'wheel.stop' })
    this.#actor.stop()
  }

  get #skew(): number {
    const { clock } = this.#deps
    return clock.wallMs() - clock.monotonicMs()
  }

  // ——— waiting

  #wait(
    send: (
      event: { type: 'wheel.due' | 'wheel.refill' } | { type: 'wheel.jumped'; ms: number },
    ) => void,
  ) {
    const { clock, store, log } = this.#deps
    let cancel: (() => void) | undefined
    let armedMs = Number.POSITIVE_INFINITY
    const look = (): void => {
      cancel = undefined
      const ms = Math.round(this.#skew - this.#skewMs)
      if (Math.abs(ms) > this.#deps.settings.jumpMs) send({ type: 'wheel.jumped', ms })
      else if (store.needsMore(clock.wallMs())) send({ type: 'wheel.refill' })
      else if (this.#isDue() || log.mode !== 'writing') send({ type: 'wheel.due' })
      else arm()
    }
    const arm = (): void => {
      const waitMs = this.#waitMs()
      if (waitMs === undefined) return
      const untilMs = clock.monotonicMs() + waitMs
      if (cancel && armedMs <= untilMs) return
      cancel?.()
      armedMs = untilMs
      cancel = clock.after(waitMs, look)
    }
    this.#rearm = arm
    arm()
    return () => {
      this.#rearm = undefined
      cancel?.()
    }
  }

  #isDue(): boolean {
    const { set } = this.#deps.store
    const { first } = set.table
    return first >= 0 && (set.table.dueMs[first] as number) <= this.#deps.clock.wallMs()
  }

  /** Undefined while there is nothing to wait for. */
  #waitMs(): number | undefined {
    const { clock, settings, store } = this.#deps
    const { table, admitted, count } = store.set
    if (admitted === 0 && count === 0) return undefined
    if (store.needsMore(clock.wallMs())) return 0
    const restMs = this.#firedAtMs + settings.tickMs - clock.monotonicMs()
    if (table.first < 0) return settings.jumpCheckMs
    const dueMs = (table.dueMs[table.first] as number) - clock.wallMs()
    return Math.min(settings.jumpCheckMs, Math.max(0, restMs, Math.ceil(dueMs)))
  }

  // ——— firing

  async #fireDue(): Promise<FiringOutcome> {
    const { log, settings, store, clock } = this.#deps
    this.#firedAtMs = clock.monotonicMs()
    for (;;) {
      if (this.#isStopped) return 'fired'
      if (log.mode !== 'writing') return 'held'
      const ids = this.#takeDue()
      if (ids.length === 0) return store.needsMore(clock.wallMs()) ? 'empty' : 'fired'
      const passedOver = new Set<number>()
      try {
        const messages = await store.read(ids)
        if (this.#isStopped) return 'fired'
        this.#fireBatch(ids, messages, passedOver)
      } catch (error) {
        if (isHold(error)) return 'held'
        throw error
      } finally {
        this.#putBack(ids, passedOver)
      }
      const [oldest] = this.#batches
      if (this.#batches.size >= settings.batchesMax) await oldest
      // Commits, requests and other timers have their turn between two batches.
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
  }

  /** Out of the heap, until they have fired or are put back. */
  #takeDue(): number[] {
    const { clock, settings, store } = this.#deps
    const { table } = store.set
    const nowMs = clock.wallMs()
    const ids: number[] = []
    while (ids.length < settings.batchMax) {
      const { first } = table
      if (first < 0 || (table.dueMs[first] as number) > nowMs) break
      ids.push(table.id[first] as number)
      table.unqueue(first)
    }
    return ids
  }

  #fireBatch(
    ids: readonly number[],
    messages: ReadonlyMap<number, DeferredMessage>,
    passedOver: Set<number>,
  ): void {
    const { clock, fire, store } = this.#deps
    const { table } = store.set
    const nowMs = clock.wallMs()
    let last: Admitted | undefined
    try {
      for (const id of ids) {
        const slot = table.slotOf(id)
        const message = messages.get(id)
        // Recalled, moved or taken with its topic while its message was read.
        if (slot < 0 || message === undefined || table.state[slot] !== slotState.waiting) continue
        if ((table.dueMs[slot] as number) > nowMs) continue
        const admitted = fire(slot, message)
        if (admitted) last = admitted
        else passedOver.add(id)
      }
    } finally {
      if (last) this.#follow(last)
    }
  }

  /** What was fired and is gone is due again: seen, and tried again after a while. */
  #follow(admitted: Admitted): void {
    const { log } = this.#deps
    const synced = log
      .whenSynced(admitted)
      .catch((error: unknown) => {
        if (!this.#isStopped) this.#actor.send({ type: 'wheel.failed', error })
      })
      .finally(() => this.#batches.delete(synced))
    this.#batches.add(synced)
  }

  /** What nobody may have now is looked at again with the next window. */
  #putBack(ids: readonly number[], passedOver: ReadonlySet<number>): void {
    const { set } = this.#deps.store
    for (const id of ids) {
      const slot = passedOver.has(id) ? -1 : set.table.slotOf(id)
      if (slot >= 0) set.queueAgain(slot)
    }
  }
}
