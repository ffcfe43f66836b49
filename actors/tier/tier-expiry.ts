import { createActor, fromPromise } from 'xstate'
import { expiredOf } from '../../machines/tier/expiry.decider.ts'
import { expiryMachine } from '../../machines/tier/expiry.machine.ts'
import type { LoopDescription } from '../../model/admin.ts'
import { type TierObject, tierObjectKey } from '../../model/tier/tier-objects.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { loopOf } from '../system/loop.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import { LoopClock } from '../system/xstate-clock.ts'
import type { Topic } from '../topic/topic.ts'
import { admitRetention } from '../upkeep/trim.ts'
import { putManifest } from './put-manifest.ts'
import type { TierSettings } from './settings.ts'
import type { TierReader } from './tier-reader.ts'
import type { Turns } from './turns.ts'

export interface TierExpiryDeps extends ActorSystemDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly store: ObjectStore
  readonly tierReader?: TierReader | undefined
  readonly namespace: string
  readonly turns: Turns
  readonly settings: TierSettings
}

/** Ends what retention no longer keeps in the tier: first its place in the topic, then bytes. */
export class TierExpiry {
  readonly #deps: TierExpiryDeps
  readonly #clock: LoopClock
  readonly #actor
  /** By topic: objects that hold nothing any more, until the store has let go of them. */
  readonly #condemned = new Map<number, Map<string, TierObject>>()

  constructor(deps: TierExpiryDeps) {
    const { clock, inspect, logger, settings } = deps
    this.#deps = deps
    this.#clock = new LoopClock(clock)
    const machine = expiryMachine.provide({
      actors: {
        expireSections: fromPromise(() => this.expire()),
        removeObjects: fromPromise(() => this.remove()),
      },
    })
    this.#actor = createActor(machine, {
      id: 'tier-expiry',
      systemId: 'tier-expiry',
      clock: this.#clock,
      ...(inspect ? { inspect } : {}),
      input: { restMs: settings.tickMs, backoff: settings.backoff },
    })
    this.#actor.subscribe({
      error: (error) => logger.error({ error: String(error) }, 'expiry in the tier failed'),
    })
  }

  start(): void {
    this.#actor.start()
  }

  stop(): void {
    this.#actor.send({ type: 'expiry.stop' })
    this.#actor.stop()
  }

  get loop(): LoopDescription {
    return loopOf('tier-expiry', this.#actor, this.#clock)
  }

  /** Objects that wait for their removal. */
  isCondemned(topicId: number, key: string): boolean {
    return this.#condemned.get(topicId)?.has(key) ?? false
  }

  /** What is old ends, by facts alone. One topic that fails holds up no other. */
  async expire(): Promise<void> {
    const { state, log } = this.#deps
    if (log.mode !== 'writing') return
    const failures: unknown[] = []
    for (const topic of [...state.topics.values()])
      if (topic.tier.objects.length > 0)
        await this.#expire(topic).catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }

  /** What nobody has any more goes, and the manifest says what is left. */
  async remove(): Promise<void> {
    const { state, namespace, tierReader } = this.#deps
    for (const topic of state.topics.values())
      for (const object of topic.tier.drainCondemned()) {
        tierReader?.dropObject(topic.topicId, object)
        if (object.namespace === namespace) this.#condemn(topic.topicId, object)
      }
    const failures: unknown[] = []
    for (const topicId of [...this.#condemned.keys()])
      await this.#remove(topicId).catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }

  async #expire(topic: Topic): Promise<void> {
    const { state, log, logger, index, clock } = this.#deps
    const { topicId, tier, queues, bytes } = topic
    await index.exclusive(async () => {
      if (topic.status !== 'serving' || !topic.isVisible) return
      const { retention } = topic.settings
      const expired = expiredOf({
        ...{ tier, queues, retention },
        localBytes: bytes,
        nowMs: clock.wallMs(),
      })
      for (const { queueId, offsetMin } of expired) {
        const floor = tier.floorOf(queueId, queues[queueId]?.localMin ?? 0, offsetMin)
        const fact = { type: 'tierExpired', topicId, queueId, offsetMin, floor } as const
        await admitRetention({ state, log, logger }, fact, topic.name)
      }
    })
  }

  #condemn(topicId: number, object: TierObject): void {
    const condemned = this.#condemned.get(topicId) ?? new Map<string, TierObject>()
    condemned.set(tierObjectKey(topicId, object), object)
    this.#condemned.set(topicId, condemned)
  }

  #remove(topicId: number): Promise<void> {
    const { state, store, turns } = this.#deps
    return turns.run(topicId, async () => {
      const keys = [...(this.#condemned.get(topicId)?.keys() ?? [])]
      const topic = state.topics.get(topicId)
      // Of a topic that has ended everything goes, by its own steps.
      if (topic?.status === 'serving') {
        await store.remove(keys)
        await putManifest(this.#deps, topic, topic.tier.objects)
      }
      this.#condemned.delete(topicId)
    })
  }
}
