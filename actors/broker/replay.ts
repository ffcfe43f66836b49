import {
  isDeliveryFact,
  readDeliveriesAddress,
  readDeliveryFact,
} from '../../storage/codec/delivery-fact.ts'
import { isMessage } from '../../storage/codec/fact-type.ts'
import { readMessage } from '../../storage/codec/message-fact.ts'
import { type RecordView, recordsOf } from '../../storage/codec/record.ts'
import { readRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { Unit } from '../../storage/codec/unit-block.ts'
import { replayDeferred, replayReleased } from '../timer-wheel/deferred-replay.ts'
import type { BrokerState } from './broker-state.ts'

/** Folds a chunk of the log into state, as it was folded when it was admitted. */
export const replayChunk = async (
  state: BrokerState,
  chunk: { readonly offset: number; readonly bytes: Buffer },
  skewMs: number,
): Promise<number> => {
  let facts = 0
  for (const record of recordsOf(chunk.bytes, chunk.offset)) {
    facts++
    if (isMessage(record.type)) await replayMessage(state, chunk.offset, record)
    else if (replayDeferred(state, chunk.offset, record)) continue
    else replayOther(state, chunk.offset + record.at, record, skewMs)
  }
  return facts
}

const replayOther = (
  state: BrokerState,
  position: number,
  { type, payload, version }: RecordView,
  skewMs: number,
): void => {
  if (!isDeliveryFact(type)) {
    const fact = readRegistryFact(type, payload, version)
    if (fact) state.foldRegistry(fact, position)
    return
  }
  const cell = state.cell(readDeliveriesAddress(payload))
  if (cell === undefined || position < cell.span.asOf) return
  state.foldDelivery(cell, readDeliveryFact(type, payload, version), { position, skewMs })
}

const replayMessage = async (
  state: BrokerState,
  chunk: number,
  record: RecordView,
): Promise<void> => {
  const fact = readMessage(record.type, record.payload)
  const position = chunk + record.at
  const unit = unitOf(fact, { chunk, at: record.at, size: record.size })
  if (position >= state.logSpan.asOf) {
    const { carriedFrom } = fact
    if (carriedFrom) state.space.free([state.space.extentOf(carriedFrom.chunk), carriedFrom.size])
    state.space.add(chunk, record.size)
  }
  state.storeAtMs = Math.max(state.storeAtMs, fact.storeAtMs)
  const topic = state.topicShell(fact.topicId)
  if (topic.status !== 'dropped' && position >= topic.span.asOf) {
    topic.ensureQueues(fact.queueId + 1)
    await topic.queues[fact.queueId]?.place(fact.queueOffset, unit)
    topic.bytes += record.size - (fact.carriedFrom?.size ?? 0)
    topic.span.note(position)
    state.dirtyTopics.add(topic)
  }
  if (fact.ends) state.foldEnded(fact.ends, position)
  if (fact.releases) replayReleased(state, position, fact.releases, fact)
  if (fact.endsLetter) state.foldLetterEnded(fact.endsLetter, position)
}

export const unitOf = (
  content: { readonly tagsCode: number; readonly groupHash: number },
  place: { readonly chunk: number; readonly at: number; readonly size: number },
): Unit => ({
  chunk: place.chunk,
  at: place.at,
  size: place.size,
  tagsCode: content.tagsCode,
  groupHash: content.groupHash,
})
