import { BrokerError } from '../../model/errors.ts'
import type { TierObject, TierSection } from '../../model/tier/tier-objects.ts'
import { readMessage } from '../../storage/codec/message-fact.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import {
  footerIn,
  readFooter,
  readTrailer,
  type SegmentFooter,
  SUFFIX_BYTES,
} from '../../storage/tier/segment-footer.ts'
import { type Frame, readFrame } from '../../storage/tier/segment-frame.ts'
import { readIndex } from '../../storage/tier/segment-index.ts'
import type { Topic } from '../topic/topic.ts'
import type { SegmentSource, SourceMessage } from './segment-source.ts'

export interface StoredSegment {
  readonly key: string
  /** As the store says. */
  readonly bytes: number
  readonly footer: SegmentFooter
}

/** Asks the store what it has. Throws `CORRUPT` when that is no whole segment. */
export const lookAtSegment = async (
  store: ObjectStore,
  key: string,
  signal: AbortSignal,
): Promise<StoredSegment> => {
  const info = await store.head(key, { signal })
  if (info === undefined) throw new BrokerError('TIER_OBJECT_NOT_FOUND', { store: store.name, key })
  const { bytes } = info
  const range = { from: Math.max(0, bytes - SUFFIX_BYTES), to: bytes }
  const suffix = bytes === 0 ? Buffer.alloc(0) : await store.get(key, { range, signal })
  const trailer = readTrailer(suffix, { key, objectBytes: bytes })
  const { footerAt, footerBytes } = trailer
  const footer =
    footerIn(suffix, trailer) ??
    (await store.get(key, { range: { from: footerAt, to: footerAt + footerBytes }, signal }))
  return { key, bytes, footer: readFooter(footer, trailer, key) }
}

export const objectOf = (
  { bytes, footer }: StoredSegment,
  name: Pick<TierObject, 'leader' | 'leaderFrom' | 'storedAtMs'>,
): TierObject => ({ ...name, namespace: footer.namespace, bytes, sections: footer.sections })

/**
 * Whether a section in the store holds the very messages that the log has at its offsets. What a
 * message went through on its way (carried forward, fired) makes no difference. False when the
 * log does not have all of them.
 */
export const holdsSameMessages = async (
  { store, source }: { readonly store: ObjectStore; readonly source: SegmentSource },
  { key }: StoredSegment,
  section: TierSection,
  { topic, signal }: { readonly topic: Topic; readonly signal: AbortSignal },
): Promise<boolean> => {
  const queue = topic.queues[section.queueId]
  if (queue === undefined || section.to > queue.offsetMax) return false
  const { indexAt, indexBytes } = section
  const range = { from: indexAt, to: indexAt + indexBytes }
  const index = readIndex(await store.get(key, { range, signal }), section, key)
  for (const entry of index.frames()) {
    const bytes = await store.get(key, {
      range: { from: entry.at, to: entry.at + entry.bytes },
      signal,
    })
    const frame = readFrame(bytes, entry, key)
    const stretch = { from: frame.from, to: frame.to, signal }
    const end = await source.read(topic, queue, stretch, (message) => isSame(frame, message))
    if (end < frame.to) return false
  }
  return true
}

const isSame = (frame: Frame, { offset, fact }: SourceMessage): boolean => {
  const { type, payload } = frame.record(offset)
  const stored = readMessage(type, payload)
  return (
    stored.topicId === fact.topicId &&
    stored.queueId === fact.queueId &&
    stored.queueOffset === fact.queueOffset &&
    stored.storeAtMs === fact.storeAtMs &&
    stored.type === fact.type &&
    Buffer.compare(stored.system, fact.system) === 0 &&
    Buffer.compare(stored.properties, fact.properties) === 0 &&
    Buffer.compare(stored.body, fact.body) === 0
  )
}
