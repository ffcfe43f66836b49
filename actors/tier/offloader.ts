import { Subject } from 'rxjs'
import { type ActorRefFrom, createActor, fromPromise } from 'xstate'
import { offloadMachine, type OffloadRef } from '../../machines/tier/offload.machine.ts'
import { isReservedTopic } from '../../model/addressing/names.ts'
import type { LoopDescription } from '../../model/admin.ts'
import { type TierObject, tierObjectKey } from '../../model/tier/tier-objects.ts'
import { errorText, loopOf } from '../system/loop.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import { LoopClock } from '../system/xstate-clock.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { type Company, QueueOffload, type QueueOffloadDeps } from './queue-offload.ts'
import type { Rider } from './segment-build.ts'
import { nextForTier } from './tier-facts.ts'

export interface OffloaderDeps
  extends QueueOffloadDeps,
    Pick<ActorSystemDeps, 'logger' | 'inspect'> {}

type OffloadActor = ActorRefFrom<typeof offloadMachine>

/** A queue with work: its chart, its hands, and what they are doing. */
interface Offloading {
  readonly hands: QueueOffload
  readonly actor: OffloadActor
  readonly clock: LoopClock
  readonly running: Set<Promise<unknown>>
}

export interface Offloaded {
  readonly topicId: number
  readonly key: string
  readonly object: TierObject
}

export interface OffloadDescription {
  readonly state: string
  readonly reason: string | undefined
  readonly nextTryInMs: number | undefined
}

const QUEUES_MAX = 65_536
const numberOf = ({ topicId, queueId }: OffloadRef): number => topicId * QUEUES_MAX + queueId

/** Messages of dead letters stay where they are: they are few, and purged by hand. */
export const isTiered = ({ status, isVisible, name }: Topic): boolean =>
  status === 'serving' && isVisible && !isReservedTopic(name)

/** The charts of all queues that have something for the tier; of all others there is none. */
export class Offloader {
  readonly #deps: OffloaderDeps
  readonly #logic: typeof offloadMachine
  readonly #charts = new Map<number, Offloading>()
  /** What was stopped and has not let go of everything. */
  readonly #leaving = new Set<Promise<unknown>>()
  readonly offloaded$ = new Subject<Offloaded>()
  #isStopped = false

  constructor(deps: OffloaderDeps) {
    this.#deps = deps
    this.#logic = offloadMachine.provide({
      actors: {
        surveyQueue: fromPromise(({ input, signal }) =>
          this.#tracked(input, (hands) => hands.survey(signal)),
        ),
        offloadSegment: fromPromise(({ input, signal }) =>
          this.#tracked(input, (hands) =>
            hands.offload({ signal, step: input.step, company: this.#companyOf(hands) }),
          ),
        ),
      },
      actions: {
        beginAnew: ({ context }) => this.#begunAnew(context),
      },
    })
  }

  /** Nothing begins any more. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Charts there are: queues with work. */
  get size(): number {
    return this.#charts.size
  }

  /** True while no segment is on its way, nor anything of one that was broken off. */
  get isAtRest(): boolean {
    if (this.#leaving.size > 0) return false
    for (const { actor } of this.#charts.values())
      if (actor.getSnapshot().hasTag('busy')) return false
    return true
  }

  /** A queue with work has a chart from here on; one that waits for company looks again. */
  look(topic: Topic, { isNews = true }: { readonly isNews?: boolean } = {}): void {
    if (this.#isStopped || !isTiered(topic)) return
    for (const queue of topic.queues) {
      if (queue.offsetMax <= nextForTier(topic, queue.queueId)) continue
      const { topicId } = topic
      const known = this.#charts.get(numberOf({ topicId, queueId: queue.queueId }))
      if (known === undefined) this.#start(topic, queue)
      else if (isNews) known.actor.send({ type: 'offload.look' })
    }
  }

  /** What the topic has now goes, however little it is. */
  force(topic: Topic): void {
    if (this.#isStopped || !isTiered(topic)) return
    for (const queue of topic.queues) {
      const { offsetMax } = queue
      if (offsetMax <= nextForTier(topic, queue.queueId)) continue
      const ref = { topicId: topic.topicId, queueId: queue.queueId }
      const { hands, actor } = this.#charts.get(numberOf(ref)) ?? this.#start(topic, queue)
      hands.forcedTo = offsetMax
      actor.send({ type: 'offload.force' })
    }
  }

  describe(topicId: number, queueId: number): OffloadDescription | undefined {
    const offloading = this.#charts.get(numberOf({ topicId, queueId }))
    return offloading && descriptionOf(offloading)
  }

  *loops(): Generator<LoopDescription> {
    for (const offloading of this.#charts.values()) {
      const { hands, actor, clock } = offloading
      const address = `offload:${hands.topic.topicId}/${hands.queue.queueId}`
      yield { ...loopOf(address, actor, clock), state: descriptionOf(offloading).state }
    }
  }

  /** Whether somebody is about to claim an object. */
  isUploading(key: string): boolean {
    for (const { hands } of this.#charts.values()) if (hands.uploading === key) return true
    return false
  }

  /** Whether somebody else's object lies where one of the topic's should. */
  isInConflict(topicId: number): boolean {
    for (const { hands, actor } of this.#charts.values())
      if (hands.topic.topicId === topicId && actor.getSnapshot().value === 'conflict') return true
    return false
  }

  /** Resolves when nothing of the topic is under way any more. */
  async stopTopic(topicId: number): Promise<void> {
    const running: Promise<unknown>[] = []
    for (const offloading of [...this.#charts.values()])
      if (offloading.hands.topic.topicId === topicId) running.push(this.#stop(offloading))
    await Promise.allSettled(running)
  }

  /** Resolves when nothing is under way any more; nothing begins again. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const offloading of [...this.#charts.values()]) void this.#stop(offloading)
    await Promise.allSettled([...this.#leaving])
    this.offloaded$.complete()
  }

  // ——— inside

  #start(topic: Topic, queue: ConsumeQueue): Offloading {
    const { inspect, logger, clock, settings } = this.#deps
    const ref = { topicId: topic.topicId, queueId: queue.queueId }
    const loopClock = new LoopClock(clock)
    const actor = createActor(this.#logic, {
      id: `offload:${ref.topicId}/${ref.queueId}`,
      clock: loopClock,
      ...(inspect ? { inspect } : {}),
      input: { ...ref, backoff: settings.backoff, budgetLookMs: settings.tickMs },
    })
    const hands = new QueueOffload(topic, queue, this.#deps)
    const offloading = { hands, actor, clock: loopClock, running: new Set<Promise<unknown>>() }
    const number = numberOf(ref)
    this.#charts.set(number, offloading)
    const forget = (): void => {
      if (this.#charts.get(number) === offloading) this.#charts.delete(number)
    }
    actor.subscribe({
      complete: forget,
      error: (error) => {
        logger.error({ queue: actor.id, error: String(error) }, 'offloading failed')
        forget()
      },
    })
    actor.start()
    return offloading
  }

  #stop({ actor, running }: Offloading): Promise<unknown> {
    actor.send({ type: 'offload.stop' })
    const left = Promise.allSettled([...running])
    this.#leaving.add(left)
    void left.then(() => this.#leaving.delete(left))
    return left
  }

  /** Whoever stops a chart waits until its hands are still. */
  #tracked<Result>(
    ref: OffloadRef,
    work: (hands: QueueOffload) => Promise<Result>,
  ): Promise<Result> {
    const offloading = this.#charts.get(numberOf(ref))
    if (offloading === undefined) return Promise.reject(new Error('the queue has no chart'))
    const { running } = offloading
    const task = work(offloading.hands)
    running.add(task)
    const ended = (): unknown => running.delete(task)
    task.then(ended, ended)
    return task
  }

  #begunAnew(ref: OffloadRef): void {
    const { hands } = this.#charts.get(numberOf(ref)) ?? {}
    if (hands === undefined) return
    hands.beginAnew()
    this.#deps.logger.warn(
      { topic: hands.topic.name, queueId: ref.queueId, offset: hands.next },
      'retention was faster than the tier: its history of the queue begins anew',
    )
  }

  #companyOf(leader: QueueOffload): Company {
    const riding: Offloading[] = []
    const { topicId } = leader.topic
    const board = ({ queueId }: ConsumeQueue): readonly Rider[] => {
      const offloading = this.#charts.get(numberOf({ topicId, queueId }))
      if (offloading?.actor.getSnapshot().value !== 'holding') return []
      offloading.actor.send({ type: 'offload.ride' })
      riding.push(offloading)
      const { queue, next } = offloading.hands
      return [{ queue, from: next }]
    }
    return {
      board: () => leader.topic.queues.flatMap(board),
      endRide: () => {
        // One whose topic ends has got off on the way.
        for (const { actor } of riding.splice(0))
          if (actor.getSnapshot().status === 'active') actor.send({ type: 'offload.rideEnded' })
      },
      offloaded: (object) => {
        const key = tierObjectKey(topicId, object)
        this.offloaded$.next({ topicId, key, object })
      },
    }
  }
}

const descriptionOf = ({ actor, clock }: Offloading): OffloadDescription => {
  const { value, context } = actor.getSnapshot()
  const { failures, lastError } = context
  const state = typeof value === 'string' ? value : Object.entries(value).flat().join('.')
  const { nextTryInMs } = clock
  return { state, reason: failures > 0 ? errorText(lastError) : undefined, nextTryInMs }
}
