import { createActor, fromPromise } from 'xstate'
import { janitorMachine } from '../../machines/tier/janitor.machine.ts'
import type { LoopDescription } from '../../model/admin.ts'
import type { TierResidue } from '../../model/tier/tier-admin.ts'
import { tierManifestKey, tierObjectKey } from '../../model/tier/tier-objects.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import { loopOf } from '../system/loop.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import { LoopClock } from '../system/xstate-clock.ts'
import type { Offloader } from './offloader.ts'
import type { TierExpiry } from './tier-expiry.ts'
import type { TierSettings } from './settings.ts'
import type { Turns } from './turns.ts'

export interface JanitorDeps extends ActorSystemDeps {
  readonly state: BrokerState
  readonly store: ObjectStore
  readonly namespace: string
  readonly offloader: Offloader
  readonly expiry: TierExpiry
  readonly turns: Turns
  readonly settings: TierSettings
}

/** Finds what the store holds that nobody claims, and removes it after a period of grace. */
export class Janitor {
  readonly #deps: JanitorDeps
  readonly #clock: LoopClock
  readonly #actor
  /** Objects that were removed since the start. */
  removed = 0

  constructor(deps: JanitorDeps) {
    const { clock, inspect, logger, settings } = deps
    this.#deps = deps
    this.#clock = new LoopClock(clock)
    const machine = janitorMachine.provide({
      actors: { sweepStore: fromPromise(() => this.sweep()) },
    })
    this.#actor = createActor(machine, {
      id: 'tier-janitor',
      systemId: 'tier-janitor',
      clock: this.#clock,
      ...(inspect ? { inspect } : {}),
      input: { everyMs: settings.janitorEveryMs, backoff: settings.backoff },
    })
    this.#actor.subscribe({
      error: (error) => logger.error({ error: String(error) }, "the tier's janitor failed"),
    })
  }

  start(): void {
    this.#actor.start()
  }

  stop(): void {
    this.#actor.send({ type: 'janitor.stop' })
    this.#actor.stop()
  }

  get loop(): LoopDescription {
    return loopOf('tier-janitor', this.#actor, this.#clock)
  }

  /** What nobody claims, as it is listed now. */
  async residue(): Promise<readonly TierResidue[]> {
    const { store, namespace, settings } = this.#deps
    const found: TierResidue[] = []
    for await (const { key, bytes, modifiedMs } of store.list(`${namespace}/`))
      if (!this.#isClaimed(key))
        found.push({ key, bytes, modifiedMs, removedAfterMs: modifiedMs + settings.graceMs })
    return found
  }

  /** Removes what has been nobody's for longer than the period of grace. */
  async sweep(): Promise<void> {
    const { clock } = this.#deps
    const old = new Map<number, string[]>()
    for (const { key, removedAfterMs } of await this.residue()) {
      if (removedAfterMs > clock.wallMs()) continue
      const topicId = topicIdOf(key)
      const keys = old.get(topicId)
      if (keys) keys.push(key)
      else old.set(topicId, [key])
    }
    for (const [topicId, keys] of old) await this.#remove(topicId, keys)
  }

  /** In turn with whoever is about to claim an object of the topic. */
  #remove(topicId: number, keys: readonly string[]): Promise<void> {
    const { turns, store, logger } = this.#deps
    return turns.run(topicId, async () => {
      const unclaimed = keys.filter((key) => !this.#isClaimed(key))
      if (unclaimed.length === 0) return
      await store.remove(unclaimed)
      this.removed += unclaimed.length
      const [example] = unclaimed
      logger.info({ objects: unclaimed.length, example }, 'removed objects that nobody claims')
    })
  }

  #isClaimed(key: string): boolean {
    const { state, namespace, offloader, expiry } = this.#deps
    const topicId = topicIdOf(key)
    const topic = state.topics.get(topicId)
    if (topic === undefined) return false
    const { status, tier } = topic
    // Ending and dropped ones remove what is theirs by their own steps.
    if (status !== 'serving') return tier.isBegun
    if (key === tierManifestKey(namespace, topicId)) return tier.isBegun
    if (offloader.isUploading(key) || offloader.isInConflict(topicId)) return true
    if (expiry.isCondemned(topicId, key)) return true
    return tier.objects.some((object) => tierObjectKey(topicId, object) === key)
  }
}

/** NaN of a name that no topic of ours has. */
const topicIdOf = (key: string): number => {
  const part = key.split('/')[1] ?? ''
  return /^\d+$/.test(part) ? Number(part) : Number.NaN
}
