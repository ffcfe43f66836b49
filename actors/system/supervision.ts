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
  children: number
}

/**
 * The supervision tree of one kind of owner: buckets, and children spread over them. Children
 * are found by address; events to one that is gone are counted, never lost in silence.
 */
export class Supervision {
  readonly #kind: string
  readonly #deps: ActorSystemDeps
  readonly #buckets: Bucket[] = []
  readonly #bucketOf = new Map<string, Bucket>()
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
    return this.#bucketOf.size
  }

  start(address: string, logic: AnyActorLogic, input: () => unknown): void {
    if (this.#isStopped) return
    const bucket = this.#buckets.find(({ children }) => children < BUCKET_CHILDREN) ?? this.#open()
    bucket.children++
    this.#bucketOf.set(address, bucket)
    bucket.actor.send({ type: 'child.start', spec: { address, logic, input } })
  }

  send(address: string, event: { readonly type: string }): void {
    const ref = this.#refOf(address)
    if (ref) ref.send(event)
    else this.deadEvents++
  }

  describe(address: string): LoopDescription | undefined {
    const record = this.#bucketOf.get(address)?.actor.getSnapshot().context.children[address]
    if (record === undefined) return undefined
    const snapshot: { value?: unknown } | undefined = this.#refOf(address)?.getSnapshot()
    const { restarts, lastError } = record
    const restartAtMs = snapshot ? undefined : this.#restartAtMs.get(address)
    return {
      address,
      state: snapshot?.value ?? 'restarting',
      restarts,
      lastError: lastError === null ? undefined : textOfError(lastError),
      nextTryInMs: restartAtMs && Math.max(0, restartAtMs - this.#deps.clock.monotonicMs()),
    }
  }

  *all(): Generator<LoopDescription> {
    for (const address of this.#bucketOf.keys()) {
      const described = this.describe(address)
      if (described) yield described
    }
  }

  addresses(): Iterable<string> {
    return this.#bucketOf.keys()
  }

  /** Everything stops, and nothing starts any more. */
  stop(): void {
    this.#isStopped = true
    for (const { actor } of this.#buckets) actor.stop()
    this.#buckets.length = 0
    this.#bucketOf.clear()
  }

  #refOf(address: string): AnyActorRef | undefined {
    const snapshot = this.#bucketOf.get(address)?.actor.getSnapshot()
    return (snapshot?.children as Record<string, AnyActorRef> | undefined)?.[address]
  }

  #open(): Bucket {
    const { clock, logger, inspect } = this.#deps
    const machine = supervisorMachine.provide({
      actions: {
        childFailed: ({ context }, { address, error }) => {
          const delayMs = backoffMs(context.backoff, context.children[address]?.restarts ?? 1)
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
    const bucket = { actor, children: 0 }
    this.#buckets.push(bucket)
    return bucket
  }

  #forget(address: string): void {
    const bucket = this.#bucketOf.get(address)
    if (bucket === undefined) return
    this.#bucketOf.delete(address)
    this.#restartAtMs.delete(address)
    bucket.children--
    this.onEnded?.(address)
  }
}

const textOfError = (error: unknown): string =>
  error instanceof Error ? error.message : JSON.stringify(error)
