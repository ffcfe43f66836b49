import type { DeferredSet } from '../../machines/timer-wheel/deferred-set.ts'
import { slotState } from '../../machines/timer-wheel/deferred-table.ts'
import type { DeferredEntry, DeferredKind, DeferredOutcome } from '../../model/deferred/deferred.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import {
  committedPrefix,
  type DeferredMessage,
  deferredCarriedPrefix,
  deferredType,
  encodeDeferredFact,
  preparedPrefix,
  runPrefix,
  scheduledPrefix,
} from '../../storage/codec/deferred-fact.ts'
import { factType } from '../../storage/codec/fact-type.ts'
import {
  type MessageContent,
  type MessageFact,
  releasedPrefix,
} from '../../storage/codec/message-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import { unitOf } from '../broker/replay.ts'
import type { Admitted, CommitLog } from '../commit-log/commit-log.ts'
import type { Share } from '../commit-log/admission.ts'
import type { Topic } from '../topic/topic.ts'

export interface DeferredLogDeps {
  readonly state: BrokerState
  readonly log: CommitLog
}

export interface AdmittedDeferred extends Admitted {
  readonly id: number
}

/**
 * Every change of deferred messages: decided by the caller, admitted and folded here in the same
 * turn, so of two that meet the first admitted wins. What is gone is undone.
 */
export class DeferredLog {
  readonly #state: BrokerState
  readonly #log: CommitLog
  /** Told when a timer's end is admitted, however it ends. */
  onTimerEnded: ((topicId: number, timerId: number) => void) | undefined

  constructor({ state, log }: DeferredLogDeps) {
    this.#state = state
    this.#log = log
  }

  set(kind: DeferredKind): DeferredSet {
    return this.#state.deferred[kind]
  }

  schedule(topic: Topic, content: MessageContent, dueMs: number): AdmittedDeferred {
    const { nextId } = this.set('timer')
    const admitted = this.#add(topic, content, {
      kind: 'timer',
      dueMs,
      type: factType.timerScheduled,
      prefix: scheduledPrefix(nextId, dueMs),
    })
    const delayMs = dueMs - this.#log.storeAtMs()
    admitted.chunk.consequences.push({
      synced: () =>
        this.set('timer')
          .topic(topic.topicId)
          .delays.add(delayMs / 1_000),
    })
    return admitted
  }

  /** A run of a schedule becomes a timer, by one fact. */
  planRun(
    topic: Topic,
    content: MessageContent,
    { scheduleId, dueMs }: { scheduleId: number; dueMs: number },
  ): AdmittedDeferred {
    const { nextId } = this.set('timer')
    const admitted = this.#add(topic, content, {
      kind: 'timer',
      dueMs,
      type: factType.runPlanned,
      prefix: runPrefix(scheduleId, nextId, dueMs),
    })
    const run = { topicId: topic.topicId, scheduleId, runAtMs: dueMs, timerId: admitted.id }
    this.#state.foldRunPlanned(run, admitted.chunk.offset + admitted.at)
    return admitted
  }

  /** A half message: `deliverAtMs` counts once it is committed; 0 is at once. */
  prepare(
    topic: Topic,
    content: MessageContent,
    { checkAtMs, deliverAtMs }: { checkAtMs: number; deliverAtMs: number },
  ): AdmittedDeferred {
    const { nextId } = this.set('transaction')
    return this.#add(topic, content, {
      kind: 'transaction',
      dueMs: checkAtMs,
      type: factType.transactionPrepared,
      prefix: preparedPrefix(nextId, checkAtMs, deliverAtMs),
    })
  }

  /** Into its topic: appended and out of the set, by one fact. */
  release(kind: DeferredKind, slot: number, topic: Topic, message: MessageFact): Admitted {
    const { groupHash, system } = message
    const queue = topic.route(groupHash === 0 ? '' : decodeSystem(system).messageGroup)
    const entry = this.set(kind).table.entry(slot)
    const storeAtMs = this.#log.storeAtMs()
    const place = {
      topicId: topic.topicId,
      queueId: queue.queueId,
      queueOffset: queue.admittedEnd,
      storeAtMs,
    }
    const { chunk, at, size } = this.#log.admitMessage(place, message, {
      type: deferredType(kind).released,
      prefix: releasedPrefix(entry),
    })
    this.#state.foldAppended(topic, queue, unitOf(message, { chunk: chunk.offset, at, size }))
    chunk.touch(queue, queue.admittedEnd)
    this.#end({ chunk, at }, kind, { slot, entry }, 'released', storeAtMs, () => {
      topic.trafficOf(message.type).add(message.body.length)
    })
    return { chunk, at }
  }

  /** A half message that is committed before its time: a scheduled one from now on. */
  scheduleHalf(slot: number, topic: Topic, message: MessageFact, dueMs: number): Admitted {
    const half = this.set('transaction').table.entry(slot)
    const { nextId } = this.set('timer')
    const admitted = this.#add(topic, message, {
      kind: 'timer',
      dueMs,
      type: factType.transactionScheduled,
      prefix: committedPrefix(half, nextId, dueMs),
    })
    const ended = { slot, entry: half }
    this.#end(admitted, 'transaction', ended, 'released', this.#log.storeAtMs())
    return admitted
  }

  /** Out of the set, and nowhere else: recalled, rolled back, or dropped with the topic. */
  withdraw(kind: DeferredKind, slots: readonly number[], outcome: DeferredOutcome): Admitted {
    const { table } = this.set(kind)
    const atMs = this.#log.storeAtMs()
    const entries = slots.map((slot) => table.entry(slot))
    const record = encodeDeferredFact(kind, { type: 'ended', outcome, atMs, entries })
    const admitted = this.#log.admitFact(record, 'freeing')
    entries.forEach((entry, index) => {
      const slot = slots[index] as number
      this.#noteTopic(entry.topicId, admitted)
      this.#end(admitted, kind, { slot, entry }, outcome, atMs)
    })
    return admitted
  }

  /** Due at another time; answered when synced. */
  reschedule(slot: number, dueMs: number): Admitted {
    const set = this.set('timer')
    const before = set.table.entry(slot)
    const entry = { ...before, dueMs }
    const fact = { type: 'moved', entry, oldDueMs: before.dueMs } as const
    const admitted = this.#log.admitFact(encodeDeferredFact('timer', fact), 'durable', {
      gone: () => {
        const again = set.table.slotOf(entry.id)
        if (again >= 0) set.move(again, before.dueMs, before.checks)
      },
    })
    set.move(slot, dueMs, before.checks)
    this.#noteTopic(entry.topicId, admitted)
    return admitted
  }

  /** A producer was asked: a buffered fact, whose loss only makes it be asked once more. */
  checked(slot: number, dueMs: number, checks: number): void {
    const set = this.set('transaction')
    const before = set.table.entry(slot)
    const entry = { ...before, dueMs, checks }
    const fact = { type: 'moved', entry, oldDueMs: before.dueMs } as const
    const admitted = this.#log.admitBuffered(encodeDeferredFact('transaction', fact))
    set.move(slot, dueMs, checks)
    this.#noteTopic(entry.topicId, admitted)
  }

  /** Written anew at the head, with the same identity, so that it pins no old place. */
  carry(slot: number, deferred: DeferredMessage): void {
    const { kind, message } = deferred
    const set = this.set(kind)
    const before = set.table.entry(slot)
    const { dueMs, checks } = before
    const prefix = deferredCarriedPrefix(before, { ...deferred, dueMs, checks })
    const { chunk, at, size } = this.#log.admitMessage(message, message, {
      type: deferredType(kind).carried,
      prefix,
      share: 'freeing',
    })
    set.repoint(slot, { chunk: chunk.offset, at, size })
    this.#move(before, { chunk: chunk.offset, size })
    this.#noteTopic(before.topicId, { chunk, at })
    chunk.consequences.push({
      gone: () => {
        this.#move({ chunk: chunk.offset, size }, before)
        const again = set.table.slotOf(before.id)
        if (again >= 0) set.repoint(again, before)
      },
    })
  }

  // ——— inside

  #add(
    topic: Topic,
    content: MessageContent,
    given: {
      readonly kind: DeferredKind
      readonly dueMs: number
      readonly type: number
      readonly prefix: readonly number[]
      readonly share?: Share
    },
  ): AdmittedDeferred {
    const set = this.set(given.kind)
    const id = set.nextId
    const { topicId } = topic
    const place = { topicId, queueId: 0, queueOffset: 0, storeAtMs: this.#log.storeAtMs() }
    const { chunk, at, size } = this.#log.admitMessage(place, content, given)
    const entry = { id, topicId, dueMs: given.dueMs, chunk: chunk.offset, at, size, checks: 0 }
    set.add(entry)
    this.#state.space.add(chunk.offset, size)
    this.#noteTopic(topicId, { chunk, at })
    chunk.consequences.push({
      synced: () => set.appeared(id),
      gone: () => {
        set.vanished(id)
        this.#free(entry)
      },
    })
    return { chunk, at, id }
  }

  #end(
    { chunk }: Admitted,
    kind: DeferredKind,
    { slot, entry }: { slot: number; entry: DeferredEntry },
    outcome: DeferredOutcome,
    atMs: number,
    synced?: () => void,
  ): void {
    const set = this.set(kind)
    set.end(slot, outcome, atMs)
    this.#free(entry)
    if (kind === 'timer') this.onTimerEnded?.(entry.topicId, entry.id)
    chunk.consequences.push({
      synced: () => {
        set.ended(entry.id, outcome)
        synced?.()
      },
      gone: () => {
        this.#state.space.add(entry.chunk, entry.size)
        set.restored(entry.id)
      },
    })
  }

  #free({ chunk, size }: { chunk: number; size: number }): void {
    const { space } = this.#state
    space.free([space.extentOf(chunk), size])
  }

  #move(from: { chunk: number; size: number }, to: { chunk: number; size: number }): void {
    this.#free(from)
    this.#state.space.add(to.chunk, to.size)
  }

  #noteTopic(topicId: number, { chunk, at }: Admitted): void {
    const topic = this.#state.topics.get(topicId)
    if (topic === undefined) return
    topic.span.note(chunk.offset + at)
    this.#state.dirtyTopics.add(topic)
  }
}

/** The slot of a message on which something can still be decided; -1 when there is none. */
export const openSlot = ({ table }: DeferredSet, id: number): number => {
  const slot = table.slotOf(id)
  if (slot < 0) return -1
  const state = table.state[slot]
  return state === slotState.waiting || state === slotState.admitted ? slot : -1
}
