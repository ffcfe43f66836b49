import {
  type Actor,
  type AnyActorLogic,
  type AnyActorRef,
  createActor,
  type InspectionEvent,
  type Observer,
} from 'xstate'
import { type Backoff, backoffMs } from '../../machines/backoff.ts'
import { supervisorMachine } from '../../machines/supervisor/supervisor.machine.ts'
import type { LoopDescription } from '../../model/admin.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import { errorText } from './loop.ts'
import { xstateClock } from './xstate-clock.ts'

const BUCKET_CHILDREN = 128
const backoff: Backoff = { msBase: 100, msMax: 30_000 }

export interface ActorSystemDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly inspect?: Observer<InspectionEvent> | undefined
}

interface Bucket {
  readonly actor: Actor<typeof supervisorMachine>
  /** Places that nobody has: their ids are used again. */
  readonly free: string[]
}

interface Place {
  readonly bucket: Bucket
  readonly id: string
}

const childIds = Array.from({ length: BUCKET_CHILDREN }, (_, number) => `child-${number}`)

/**
 * The supervision tree of one kind of owner: buckets, and children spread over them. Children
 * are found by address; events to one that is gone are counted, never lost in silence.
 */
export class Supervision {
  readonly #kind: string
  readonly #deps: ActorSystemDeps
  readonly #buckets: Bucket[] = []
  readonly #placeOf = new Map<string, Place>()
  /** When a failed child is started again, monotonic. */
  readonly #restartAtMs = new Map<string, number>()
  #numbered = 0
  #isStopped = false
  deadEvents = 0
  /** Told when a child reached its end. */
  onEnded: ((address: string) => void) | undefined

  constructor(kind: string, deps: ActorSystemDeps) {
    this.#kind = kind
    this.#deps = deps
  }

  get size(): number {
    return this.#placeOf.size
  }

  start(address: string, logic: AnyActorLogic, input: () => unknown): void {
    if (this.#isStopped) return
    const bucket = this.#buckets.find(({ free }) => free.length > 0) ?? this.#open()
    const id = bucket.free.pop() as string
    this.#placeOf.set(address, { bucket, id })
    bucket.actor.send({ type: 'child.start', spec: { id, address, logic, input } })
  }

  send(address: string, event: { readonly type: string }): void {
    const ref = this.#refOf(address)
    if (ref) ref.send(event)
    else this.deadEvents++
  }

  describe(address: string): LoopDescription | undefined {
    const place = this.#placeOf.get(address)
    const record = place?.bucket.actor.getSnapshot().context.children[place.id]
    if (record === undefined) return undefined
    const snapshot: { value?: unknown } | undefined = this.#refOf(address)?.getSnapshot()
    const { restarts, lastError } = record
    const restartAtMs = snapshot ? undefined : this.#restartAtMs.get(address)
    return {
      address,
      state: snapshot?.value ?? 'restarting',
      restarts,
      lastError: errorText(lastError),
      nextTryInMs: restartAtMs && Math.max(0, restartAtMs - this.#deps.clock.monotonicMs()),
    }
  }

  *all(): Generator<LoopDescription> {
    for (const address of this.#placeOf.keys()) {
      const described = this.describe(address)
      if (described) yield described
    }
  }

  addresses(): Iterable<string> {
    return this.#placeOf.keys()
  }

  /** Addresses of the actors that there really are, whoever remembers them. */
  *actors(): Generator<string> {
    for (const { actor } of this.#buckets) {
      const { children, context } = actor.getSnapshot()
      for (const id of Object.keys(children)) yield context.children[id]?.spec.address ?? id
    }
  }

  /** Everything stops, and nothing starts any more. */
  stop(): void {
    this.#isStopped = true
    for (const { actor } of this.#buckets) actor.stop()
    this.#buckets.length = 0
    this.#placeOf.clear()
  }

  #refOf(address: string): AnyActorRef | undefined {
    const place = this.#placeOf.get(address)
    if (place === undefined) return undefined
    const { children } = place.bucket.actor.getSnapshot()
    return (children as Record<string, AnyActorRef | undefined>)[place.id]
  }

  #open(): Bucket {
    const { clock, logger, inspect } = this.#deps
    const machine = supervisorMachine.provide({
      actions: {
        childFailed: ({ context }, { id, error }) => {
          const { spec, restarts = 1 } = context.children[id] ?? {}
          const address = spec?.address ?? id
          const delayMs = backoffMs(context.backoff, restarts)
          this.#restartAtMs.set(address, clock.monotonicMs() + delayMs)
          logger.error({ address, error: String(error) }, 'an actor failed and is restarted')
        },
        childEnded: (_, { address }) => this.#forget(address),
      },
    })
    const actor = createActor(machine, {
      id: `${this.#kind}-bucket-${this.#numbered++}`,
      clock: xstateClock(clock),
      ...(inspect ? { inspect } : {}),
      input: { backoff },
    })
    actor.subscribe({
      error: (error) => logger.error({ error: String(error) }, 'a supervisor failed'),
    })
    actor.start()
    const bucket = { actor, free: [...childIds] }
    this.#buckets.push(bucket)
    return bucket
  }

  #forget(address: string): void {
    const place = this.#placeOf.get(address)
    if (place === undefined) return
    this.#placeOf.delete(address)
    this.#restartAtMs.delete(address)
    place.bucket.free.push(place.id)
    this.onEnded?.(address)
  }
}
