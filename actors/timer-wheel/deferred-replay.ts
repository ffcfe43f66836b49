import type { DeferredKind, DeferredOutcome, EndedDeferred } from '../../model/deferred/deferred.ts'
import {
  deferredKindOf,
  isDeferredMessage,
  readDeferredFact,
  readDeferredMessage,
} from '../../storage/codec/deferred-fact.ts'
import type { MessageFact, ReleasedDeferred } from '../../storage/codec/message-fact.ts'
import type { RecordView } from '../../storage/codec/record.ts'
import type { BrokerState } from '../broker/broker-state.ts'

/** Folds a record about deferred messages; false when it is about something else. */
export const replayDeferred = (state: BrokerState, chunk: number, record: RecordView): boolean => {
  const kind = deferredKindOf(record.type)
  if (kind === undefined) return false
  if (isDeferredMessage(record.type)) replayMessage(state, chunk, record)
  else replayFact(state, chunk + record.at, kind, record)
  return true
}

/** A deferred message that came into its topic, or became one of another kind. */
export const replayReleased = (
  state: BrokerState,
  position: number,
  releases: ReleasedDeferred,
  { topicId, storeAtMs }: MessageFact,
): void => end(state, position, releases.kind, { ...releases, topicId }, 'released', storeAtMs)

const replayMessage = (state: BrokerState, chunk: number, record: RecordView): void => {
  const deferred = readDeferredMessage(record.type, record.payload)
  const { message, carriedFrom, releases, scheduleId, kind, id, dueMs, checks } = deferred
  const { topicId, storeAtMs } = message
  const { at, size } = record
  const position = chunk + at
  if (position >= state.logSpan.asOf) {
    if (carriedFrom) free(state, carriedFrom)
    state.space.add(chunk, size)
  }
  state.storeAtMs = Math.max(state.storeAtMs, storeAtMs)
  note(state, topicId, position)
  if (releases) replayReleased(state, position, releases, message)
  if (scheduleId !== undefined)
    state.foldRunPlanned({ topicId, scheduleId, runAtMs: dueMs, timerId: id }, position)
  const set = state.deferred[kind]
  if (position < set.asOf) return
  const entry = { id, topicId, dueMs, chunk, at, size, checks }
  if (carriedFrom) set.foldCarried(entry, carriedFrom.size)
  else set.foldAdded(entry)
}

const replayFact = (
  state: BrokerState,
  position: number,
  kind: DeferredKind,
  { type, payload }: RecordView,
): void => {
  const fact = readDeferredFact(type, payload)
  const set = state.deferred[kind]
  switch (fact.type) {
    case 'ended':
      state.storeAtMs = Math.max(state.storeAtMs, fact.atMs)
      for (const entry of fact.entries) {
        note(state, entry.topicId, position)
        end(state, position, kind, entry, fact.outcome, fact.atMs)
      }
      return
    case 'moved':
      note(state, fact.entry.topicId, position)
      if (position >= set.asOf) set.foldMoved(fact.entry, fact.oldDueMs)
      return
    case 'remembered':
      if (position >= set.asOf)
        for (const entry of fact.entries) set.foldEnded(entry, entry.outcome, entry.atMs)
      return
    case 'numbered':
      set.foldNumbered(fact.nextId)
      return
  }
}

const end = (
  state: BrokerState,
  position: number,
  kind: DeferredKind,
  entry: EndedDeferred,
  outcome: DeferredOutcome,
  atMs: number,
): void => {
  if (position >= state.logSpan.asOf) free(state, entry)
  const set = state.deferred[kind]
  if (position >= set.asOf) set.foldEnded(entry, outcome, atMs)
}

const free = ({ space }: BrokerState, { chunk, size }: { chunk: number; size: number }): void =>
  space.free([space.extentOf(chunk), size])

const note = (state: BrokerState, topicId: number, position: number): void => {
  const topic = state.topicShell(topicId)
  if (topic.status === 'dropped' || position < topic.span.asOf) return
  topic.span.note(position)
  state.dirtyTopics.add(topic)
}
