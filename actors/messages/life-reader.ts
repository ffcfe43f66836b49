import { MessageLife } from '../../machines/messages/message-life.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import { decodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import type { MessageTrace } from '../../model/message/trace.ts'
import { tierObjectKey } from '../../model/tier/tier-objects.ts'
import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import type { Clock } from '../../model/ports.ts'
import {
  isDeliveryFact,
  readDeliveriesAddress,
  readDeliveryFact,
} from '../../storage/codec/delivery-fact.ts'
import { factType, isMessage } from '../../storage/codec/fact-type.ts'
import { type MessageFact, readMessage } from '../../storage/codec/message-fact.ts'
import { type RecordView, recordsOf } from '../../storage/codec/record.ts'
import { readRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { viewOf } from './message-view.ts'

export interface LifeReaderDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly clock: Clock
}

/** A message, and the chunk from which on its history may stand. */
export interface Traced {
  readonly message: StoredMessage
  readonly from: number
}

interface Trace extends Traced {
  readonly life: MessageLife
  isComplete: boolean
  /** The tier has it: what leaves the log is kept. */
  isOffloaded: boolean
  reclaimedBeforeMs: number | undefined
}

/** Bytes of log between two turns of everybody else. */
const TURN_BYTES = 512 << 10

/** Messages that were stored when their record was written, so that they tell the time. */
const fresh: ReadonlySet<number> = new Set([
  factType.messageAppended,
  factType.messageDeadLettered,
  factType.messageRedriven,
])

/**
 * Reads a stretch of the log once and tells the lives of messages from it: `from` the oldest of
 * them to the last fact that can concern one, at most so many bytes.
 */
export class LifeReader {
  readonly #deps: LifeReaderDeps
  readonly #traces: readonly Trace[]
  #nowMs = 0

  constructor(deps: LifeReaderDeps, traced: readonly Traced[]) {
    this.#deps = deps
    this.#traces = traced.map((each) => ({
      ...each,
      life: bornLife(each.message),
      isComplete: true,
      isOffloaded: placeInTier(deps.state, each.message) !== undefined,
      reclaimedBeforeMs: undefined,
    }))
  }

  async read(bytesMax: number): Promise<MessageTrace[]> {
    const { log, clock } = this.#deps
    const end = this.#end()
    let position = Math.min(...this.#traces.map(({ from }) => from))
    let left = bytesMax
    let turn = TURN_BYTES
    while (position < end && left > 0) {
      const chunk = log.glance(position) ?? (await log.chunks.read(position))
      if (chunk === undefined) {
        position = await this.#leap(position, end)
        continue
      }
      for (const record of recordsOf(chunk, position)) this.#take(position, record)
      position += chunk.length
      left -= chunk.length
      turn -= chunk.length
      if (turn > 0) continue
      turn = TURN_BYTES
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
    const unread = Math.max(0, end - position)
    return this.#traces.map((trace) => this.#told(trace, unread))
  }

  #told(trace: Trace, unreadBytes: number): MessageTrace {
    const { life, message } = trace
    const nowMs = Math.floor(this.#deps.clock.wallMs())
    const knownMs = unreadBytes > 0 ? this.#nowMs : nowMs
    const place = placeInTier(this.#deps.state, message)
    // The tier fell behind, and a trim of the log took all before it.
    if (trace.isOffloaded && place === undefined) life.trimmed()
    life.finish(knownMs)
    const reclaimedBeforeMs = trace.isComplete ? undefined : (trace.reclaimedBeforeMs ?? knownMs)
    return {
      message: viewOf(message),
      ...(place?.isOnly ? { tierObject: place.key } : {}),
      steps: life.steps.toSorted((a, b) => a.atMs - b.atMs),
      ...(reclaimedBeforeMs === undefined ? {} : { reclaimedBeforeMs }),
      ...(unreadBytes > 0 ? { unreadBytes } : {}),
    }
  }

  /** Behind the last fact of a group on one of the queues, of their topics, and of dead groups. */
  #end(): number {
    const { state, log } = this.#deps
    let last = 0
    for (const { message } of this.#traces) {
      last = Math.max(
        last,
        message.physicalOffset,
        state.topics.get(message.topicId)?.span.last ?? 0,
      )
      for (const group of state.groups.values()) {
        const cell = group.subscriptions.get(message.topicId)?.cell(message.queueId)
        last = Math.max(last, cell?.span.last ?? 0)
        if (group.status === 'dropped') last = Math.max(last, group.span.last)
      }
    }
    return Math.min(log.syncedOffset, last + 1)
  }

  async #leap(position: number, end: number): Promise<number> {
    let next = end
    for await (const offset of this.#deps.log.chunks.offsets(position, end)) {
      next = offset
      break
    }
    for (const trace of this.#traces) {
      if (trace.from >= next) continue
      trace.isComplete = false
      trace.reclaimedBeforeMs = undefined
    }
    return next
  }

  #take(chunk: number, record: RecordView): void {
    const { type, payload, version } = record
    const position = chunk + record.at
    if (isMessage(type)) this.#message(position, type, readMessage(type, payload))
    else if (isDeliveryFact(type)) this.#delivery(chunk, record)
    else {
      const fact = readRegistryFact(type, payload, version)
      if (fact?.type === 'logOpened') this.#clock(fact.wallMs)
      else if (fact?.type === 'topicDropped') this.#clock(fact.atMs)
      else if (fact?.type === 'tierAdded' || fact?.type === 'tierExpired') this.#tier(chunk, fact)
      else if (fact?.type === 'queueTrimmed' || fact?.type === 'lettersEnded')
        for (const { life, message, from, isOffloaded } of this.#traces) {
          if (chunk < from) continue
          if (message.topicId !== fact.topicId || message.queueId !== fact.queueId) continue
          if (fact.type === 'lettersEnded') {
            if (includes(fact.runs, message.queueOffset)) life.noted({ what: 'purged' })
          } else if (message.queueOffset < fact.offsetMin && !isOffloaded) life.trimmed()
        }
    }
  }

  #tier(chunk: number, fact: Extract<RegistryFact, { type: 'tierAdded' | 'tierExpired' }>): void {
    for (const trace of this.#traces) {
      const { message, life, from } = trace
      const { topicId, queueId, queueOffset } = message
      if (chunk < from || topicId !== fact.topicId) continue
      if (fact.type === 'tierExpired') {
        if (queueId === fact.queueId && queueOffset < fact.offsetMin) life.trimmed()
        continue
      }
      const isIn = fact.object.sections.some(
        (section) =>
          section.queueId === queueId && queueOffset >= section.from && queueOffset < section.to,
      )
      if (!isIn) continue
      trace.isOffloaded = true
      life.noted({ what: 'offloaded', detail: `to ${tierObjectKey(topicId, fact.object)}` })
    }
  }

  #message(position: number, type: number, fact: MessageFact): void {
    if (fresh.has(type)) this.#clock(fact.storeAtMs)
    const { ends, endsLetter, storeAtMs } = fact
    const over = ends ?? endsLetter
    if (over === undefined) return
    for (const { life, message, from } of this.#traces) {
      if (position < from || message.topicId !== over.topicId) continue
      if (message.queueId !== over.queueId || message.queueOffset !== over.queueOffset) continue
      const topic = this.#deps.state.topics.get(fact.topicId)?.name ?? `topic ${fact.topicId}`
      if (ends) {
        const reason = decodeProperties(fact.properties)['DLQ_REASON'] ?? ''
        const detail = `to ${topic}: ${reason}`
        life.happened({ what: 'deadLettered', detail }, storeAtMs, this.#groupName(ends.groupId))
      } else life.happened({ what: 'redriven', detail: `to ${topic}` }, storeAtMs)
    }
  }

  #delivery(chunk: number, { type, payload, version }: RecordView): void {
    const address = readDeliveriesAddress(payload)
    const concerned = this.#traces.filter(
      ({ from, message }) =>
        chunk >= from && message.topicId === address.topicId && message.queueId === address.queueId,
    )
    if (concerned.length === 0) return
    const fact = readDeliveryFact(type, payload, version)
    const group = this.#groupName(address.groupId)
    for (const { life } of concerned) life.delivery(group, fact)
  }

  #clock(atMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, atMs)
    for (const trace of this.#traces) {
      trace.life.clock(this.#nowMs)
      if (!trace.isComplete) trace.reclaimedBeforeMs ??= this.#nowMs
    }
  }

  #groupName(groupId: number): string {
    return this.#deps.state.groups.get(groupId)?.name ?? `group ${groupId}, which has ended`
  }
}

/** `isOnly`: the log may have let go of it. */
const placeInTier = (
  state: BrokerState,
  { topicId, queueId, queueOffset }: StoredMessage,
): { readonly key: string; readonly isOnly: boolean } | undefined => {
  const topic = state.topics.get(topicId)
  const section = topic?.tier.find(queueId, queueOffset)
  const localMin = topic?.queues[queueId]?.localMin ?? 0
  return section && { key: tierObjectKey(topicId, section.object), isOnly: queueOffset < localMin }
}

const bornLife = (message: StoredMessage): MessageLife => {
  const life = new MessageLife(message)
  const { origin } = decodeSystem(message.system)
  const where = `${message.topic}, queue ${message.queueId}, offset ${message.queueOffset}`
  const detail = origin ? `${where}, a dead letter of ${origin.topic}` : where
  life.happened({ what: 'stored', detail }, message.storeAtMs)
  return life
}

const includes = (runs: readonly number[], offset: number): boolean => {
  for (let index = 0; index < runs.length; index += 2) {
    const start = runs[index] as number
    if (offset >= start && offset < start + (runs[index + 1] as number)) return true
  }
  return false
}
