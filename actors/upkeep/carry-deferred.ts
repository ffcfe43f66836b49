import {
  type DeferredKind,
  deferredKinds,
  type RememberedDeferred,
} from '../../model/deferred/deferred.ts'
import {
  type DeferredMessage,
  deferredKindOf,
  encodeDeferredFact,
  isDeferredMessage,
  readDeferredFact,
  readDeferredMessage,
} from '../../storage/codec/deferred-fact.ts'
import type { MessageFact } from '../../storage/codec/message-fact.ts'
import type { RecordView } from '../../storage/codec/record.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { DeferredLog, openSlot } from '../timer-wheel/deferred-log.ts'
import type { DeferredStore } from '../timer-wheel/deferred-store.ts'

export interface DeferredCarrierDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly stores: Readonly<Record<DeferredKind, DeferredStore>>
  readonly memoryMs: number
}

const REMEMBERED_AT_ONCE = 500

/**
 * What deferred messages have in a stretch of the log that goes. Those that still wait are
 * written anew; of those that ended, what must stay known: as long as an older record could say
 * that they wait, or somebody may ask what became of them.
 */
export class DeferredCarrier {
  readonly #deps: DeferredCarrierDeps
  readonly #alive: { readonly message: DeferredMessage; readonly chunk: number; at: number }[] = []
  readonly #moved: { readonly kind: DeferredKind; readonly id: number }[] = []
  readonly #ended: Record<DeferredKind, RememberedDeferred[]> = { timer: [], transaction: [] }

  constructor(deps: DeferredCarrierDeps) {
    this.#deps = deps
  }

  /** A message that came into its topic: it ended something deferred. */
  noteReleased(fact: MessageFact): void {
    const { releases, topicId, storeAtMs } = fact
    if (releases === undefined) return
    const ended = { ...releases, topicId, outcome: 'released', atMs: storeAtMs } as const
    this.#ended[releases.kind].push(ended)
  }

  /** Looks at a record of another kind. Resolves when what it names is in memory. */
  async note(chunk: number, record: RecordView): Promise<void> {
    const kind = deferredKindOf(record.type)
    if (kind === undefined) return
    if (!isDeferredMessage(record.type)) {
      await this.#noteFact(kind, record)
      return
    }
    const message = readDeferredMessage(record.type, record.payload)
    if (message.releases) this.noteReleased({ ...message.message, releases: message.releases })
    const slot = await this.#deps.stores[kind].bring(message.id)
    if (this.#isAt(kind, slot, chunk, record.at))
      this.#alive.push({ message, chunk, at: record.at })
  }

  /** Admits all of it, in this turn. Returns how many messages were carried. */
  carry(isGone: (chunk: number) => boolean): number {
    const { state, log } = this.#deps
    const deferred = new DeferredLog({ state, log })
    let carried = 0
    for (const { message, chunk, at } of this.#alive) {
      const slot = openSlot(state.deferred[message.kind], message.id)
      if (!this.#isAt(message.kind, slot, chunk, at)) continue
      deferred.carry(slot, message)
      carried++
    }
    for (const { kind, id } of this.#moved) {
      const set = state.deferred[kind]
      const slot = openSlot(set, id)
      if (slot < 0) continue
      const entry = set.table.entry(slot)
      const fact = { type: 'moved', entry, oldDueMs: entry.dueMs } as const
      log.admitFact(encodeDeferredFact(kind, fact), 'freeing')
    }
    for (const kind of deferredKinds) this.#remember(kind, isGone)
    return carried
  }

  // ——— inside

  async #noteFact(kind: DeferredKind, { type, payload }: RecordView): Promise<void> {
    const fact = readDeferredFact(type, payload)
    if (fact.type === 'ended') {
      const { outcome, atMs } = fact
      for (const entry of fact.entries) this.#ended[kind].push({ ...entry, outcome, atMs })
    } else if (fact.type === 'remembered') this.#ended[kind].push(...fact.entries)
    else if (fact.type === 'moved') {
      const { id } = fact.entry
      if ((await this.#deps.stores[kind].bring(id)) >= 0) this.#moved.push({ kind, id })
    }
  }

  #remember(kind: DeferredKind, isGone: (chunk: number) => boolean): void {
    const { state, log, memoryMs } = this.#deps
    const { nextId } = state.deferred[kind]
    if (nextId === 1) return
    const sinceMs = log.storeAtMs() - memoryMs
    const kept = this.#ended[kind].filter(
      ({ chunk, outcome, atMs }) => !isGone(chunk) || (outcome !== 'dropped' && atMs >= sinceMs),
    )
    for (let from = 0; from < kept.length; from += REMEMBERED_AT_ONCE) {
      const entries = kept.slice(from, from + REMEMBERED_AT_ONCE)
      log.admitFact(encodeDeferredFact(kind, { type: 'remembered', entries }), 'freeing')
    }
    log.admitFact(encodeDeferredFact(kind, { type: 'numbered', nextId }), 'freeing')
  }

  #isAt(kind: DeferredKind, slot: number, chunk: number, at: number): boolean {
    const { table } = this.#deps.state.deferred[kind]
    return slot >= 0 && table.chunk[slot] === chunk && table.at[slot] === at
  }
}
