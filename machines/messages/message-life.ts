import type {
  DeliveryFact,
  ExtendedFact,
  LeasedFact,
  UnackedEntry,
} from '../../model/delivery/facts.ts'
import { deliveryLimits } from '../../model/delivery/limits.ts'
import type { TraceStep } from '../../model/message/trace.ts'

/** What a group has of the message as far as its facts were read. */
interface Held {
  readonly state: 'leased' | 'waiting' | 'acked'
  readonly attempt: number
  readonly invisibleUntilMs: number
  readonly clientId: string
}

type StepOf = Omit<TraceStep, 'atMs' | 'notAfterMs' | 'group'>

/**
 * The life of one message, told from the facts of the log in their order. Most facts have no time
 * of their own: they happened after the last time that the log had told before them, and not
 * after the next.
 */
export class MessageLife {
  readonly queueOffset: number
  readonly steps: TraceStep[] = []
  readonly #held = new Map<string, Held>()
  /** From here on steps wait for the next time. */
  #openFrom = 0
  /** Steps that tell their time themselves, by position. */
  readonly #exact = new Set<number>()
  #knownMs: number
  #isTrimmed = false

  constructor({ queueOffset, storeAtMs }: { queueOffset: number; storeAtMs: number }) {
    this.queueOffset = queueOffset
    this.#knownMs = storeAtMs
  }

  /** The log tells the time here. */
  clock(atMs: number): void {
    if (atMs < this.#knownMs) return
    this.#settle(atMs)
    this.#knownMs = atMs
  }

  /** Nothing more is known than that it happened until now. */
  finish(nowMs: number): void {
    this.#settle(nowMs)
    for (const [group, held] of this.#held)
      if (held.state === 'leased' && held.invisibleUntilMs <= nowMs) this.#expire(group, held)
  }

  /** Something of the message itself, or told by another message: its time is known. */
  happened(step: StepOf, atMs: number, group?: string): void {
    this.clock(atMs)
    this.#exact.add(this.steps.length)
    this.#push({ ...step, atMs, ...(group === undefined ? {} : { group }) })
    if (step.what === 'deadLettered' && group !== undefined) this.#end(group)
  }

  /** Retention, or whoever ended it before, has taken it: every later trim says so again. */
  trimmed(): void {
    if (this.#isTrimmed) return
    this.#isTrimmed = true
    this.noted({ what: 'trimmed' })
  }

  /** Something without a time of its own. */
  noted(step: StepOf, group?: string): void {
    this.#push({ ...step, atMs: this.#knownMs, ...(group === undefined ? {} : { group }) })
  }

  delivery(group: string, fact: DeliveryFact): void {
    switch (fact.type) {
      case 'leased':
        return this.#leased(group, fact)
      case 'extended':
        if (fact.queueOffset === this.queueOffset) this.#extended(group, fact)
        return
      case 'acked':
        if (covers(fact.runs, this.queueOffset)) this.#acked(group, fact.runs[0] === 0)
        return
      case 'reset':
        return this.#reset(group, fact.next)
      case 'carried': {
        const entry = fact.unacked.find(({ queueOffset }) => queueOffset === this.queueOffset)
        if (entry !== undefined || this.queueOffset < fact.next) this.#summed(group, entry)
        return
      }
    }
  }

  #leased(group: string, fact: LeasedFact): void {
    const attempt = attemptOf(fact, this.queueOffset)
    if (attempt === undefined) return
    const held = this.#held.get(group)
    if (held?.state === 'leased') this.#expire(group, held)
    const { invisibleUntilMs, clientId } = fact
    this.noted({ what: 'leased', attempt, invisibleUntilMs, ...named(clientId) }, group)
    this.#held.set(group, { state: 'leased', attempt, invisibleUntilMs, clientId })
  }

  #extended(group: string, { cause, attempt, invisibleUntilMs }: ExtendedFact): void {
    const held = this.#held.get(group)
    const clientId = held?.clientId ?? ''
    const step = { attempt, invisibleUntilMs, ...named(clientId) }
    const isGivenBack = cause === 'extended' && held !== undefined && attempt < held.attempt
    if (isGivenBack) this.#timed({ ...step, ...givenBack }, invisibleUntilMs, group)
    else if (cause === 'renewed' || cause === 'sessionLost')
      this.#timed({ ...step, what: cause }, invisibleUntilMs - periods[cause], group)
    else if (cause === 'recovered') this.noted({ ...step, ...recovered }, group)
    else this.noted({ ...step, what: cause }, group)
    const isWaiting = isGivenBack || cause === 'negativeAck' || cause === 'sessionLost'
    const state = isWaiting ? 'waiting' : 'leased'
    this.#held.set(group, { state, attempt, invisibleUntilMs, clientId })
  }

  #acked(group: string, isFromStart: boolean): void {
    let held = this.#held.get(group)
    if (held?.state === 'acked') return
    // A handle is refused when its time is over: such an end is not its holder's.
    if (held !== undefined && held.invisibleUntilMs <= this.#knownMs) {
      if (held.state === 'leased') this.#expire(group, held)
      held = undefined
    }
    if (held !== undefined && held.attempt > 0)
      this.noted({ what: 'acked', attempt: held.attempt, ...named(held.clientId) }, group)
    else
      this.noted(
        {
          what: 'filteredOut',
          ...(isFromStart ? { detail: 'the group began behind it' } : {}),
        },
        group,
      )
    this.#end(group)
  }

  #reset(group: string, next: number): void {
    const isAhead = this.queueOffset >= next
    const held = this.#held.get(group)
    if (isAhead ? held === undefined : held?.state === 'acked') return
    if (held?.state === 'leased' && held.invisibleUntilMs <= this.#knownMs)
      this.#expire(group, held)
    const detail = isAhead ? 'it is ahead of the group again' : 'the group went on behind it'
    this.noted({ what: 'reset', detail }, group)
    if (isAhead) this.#held.delete(group)
    else this.#end(group)
  }

  /** The whole state at once: news only where older facts are gone. */
  #summed(group: string, entry: UnackedEntry | undefined): void {
    const held = this.#held.get(group)
    if (entry === undefined) {
      if (held?.state === 'acked') return
      this.noted({ what: 'acked', detail: 'by then: how is reclaimed' }, group)
      this.#end(group)
      return
    }
    if (held !== undefined || entry.attempt === 0) return
    const { attempt, invisibleUntilMs, clientId } = entry
    const isLeased = invisibleUntilMs > 0
    const detail = isLeased ? 'by then: when is reclaimed' : 'by then, and expired'
    const step = { attempt, ...(isLeased ? { invisibleUntilMs } : {}), ...named(clientId) }
    this.noted({ what: 'leased', ...step, detail }, group)
    this.#held.set(group, {
      state: isLeased ? 'leased' : 'waiting',
      attempt,
      invisibleUntilMs,
      clientId,
    })
  }

  #expire(group: string, { attempt, invisibleUntilMs, clientId }: Held): void {
    this.#exact.add(this.steps.length)
    this.#push({ what: 'expired', group, attempt, atMs: invisibleUntilMs, ...named(clientId) })
    // What follows came later; what stands before it in the log may have come later, too.
    this.#knownMs = Math.max(this.#knownMs, invisibleUntilMs)
  }

  /** Its deadline tells the time, also for what follows. */
  #timed(step: StepOf, atMs: number, group: string): void {
    this.clock(atMs)
    this.#exact.add(this.steps.length)
    this.#push({ ...step, atMs, group })
  }

  #end(group: string): void {
    const attempt = this.#held.get(group)?.attempt ?? 0
    this.#held.set(group, { state: 'acked', attempt, invisibleUntilMs: 0, clientId: '' })
  }

  #push(step: TraceStep): void {
    this.steps.push(step)
  }

  #settle(notAfterMs: number): void {
    for (let index = this.#openFrom; index < this.steps.length; index++) {
      const step = this.steps[index] as TraceStep
      if (this.#exact.has(index)) continue
      this.steps[index] = { ...step, notAfterMs: Math.max(step.atMs, notAfterMs) }
    }
    this.#openFrom = this.steps.length
  }
}

/** How far from now such a deadline is set. */
const periods = {
  renewed: deliveryLimits.autoRenewInvisibleMs,
  sessionLost: deliveryLimits.sessionLostMs,
} as const

const givenBack = { what: 'extended', detail: 'given back: who asked for it was gone' } as const
const recovered = {
  what: 'extended',
  detail: 'a crash had lost the lease, its handle restored it',
} as const

const named = (clientId: string): { readonly clientId?: string } =>
  clientId === '' ? {} : { clientId }

const covers = (runs: readonly number[], offset: number): boolean => {
  for (let index = 0; index < runs.length; index += 2) {
    const start = runs[index] as number
    if (offset >= start && offset < start + (runs[index + 1] as number)) return true
  }
  return false
}

const attemptOf = ({ runs }: LeasedFact, offset: number): number | undefined => {
  for (let index = 0; index < runs.length; index += 3) {
    const start = runs[index] as number
    if (offset >= start && offset < start + (runs[index + 1] as number)) return runs[index + 2]
  }
  return undefined
}
