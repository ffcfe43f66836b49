import type { OffloadStep } from '../../machines/tier/offload.machine.ts'
import { BrokerError, isBrokerError } from '../../model/errors.ts'
import { type TierObject, tierObjectKey } from '../../model/tier/tier-objects.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import { type SegmentFooter, sameContent } from '../../storage/tier/segment-footer.ts'
import type { WrittenSegment } from '../../storage/tier/segment-writer.ts'
import type { Topic } from '../topic/topic.ts'
import type { SegmentSource } from './segment-source.ts'
import { holdsSameMessages, lookAtSegment, objectOf, type StoredSegment } from './stored-segment.ts'

export interface UploadDeps {
  readonly store: ObjectStore
  readonly source: SegmentSource
}

export interface Upload {
  readonly topic: Topic
  readonly name: Pick<TierObject, 'namespace' | 'leader' | 'leaderFrom' | 'storedAtMs'>
  readonly segment: WrittenSegment
  /** Tokens of earlier attempts of this life. */
  readonly isOwn: (token: string) => boolean
  readonly signal: AbortSignal
  readonly step: (step: OffloadStep) => void
}

/** How an object came to be under its name. */
export type Placed = 'put' | 'found'

/**
 * Puts the object where nobody has one. There may be one: of an upload whose answer was lost, of
 * an earlier attempt, of an earlier life, or of somebody else. One that is not whole is nobody's.
 */
export const placeSegment = async ({ store }: UploadDeps, upload: Upload): Promise<Placed> => {
  const { topic, name, segment, signal, step } = upload
  const key = tierObjectKey(topic.topicId, name)
  try {
    await store.put(key, [segment.bytes], { ifAbsent: true, signal })
    return 'put'
  } catch (error) {
    if (!isBrokerError(error, 'TIER_OBJECT_EXISTS')) throw error
  }
  step('adopting')
  try {
    await lookAtSegment(store, key, signal)
    return 'found'
  } catch (error) {
    if (!isBrokerError(error, 'CORRUPT')) throw error
    await store.put(key, [segment.bytes], { ifAbsent: false, signal })
    return 'put'
  }
}

/**
 * Asks the store what lies there: its size, its footer, whose it is and what its content must be.
 * What was sent is no answer. Rejects with `TIER_CONFLICT` when it is somebody else's.
 */
export const verifyPlaced = async (
  deps: UploadDeps,
  upload: Upload,
  placed: Placed,
): Promise<TierObject> => {
  const { topic, name, segment, isOwn, signal } = upload
  const { store } = deps
  const key = tierObjectKey(topic.topicId, name)
  const stored = await lookAtSegment(store, key, signal)
  const { footer } = stored
  if (placed === 'put' && !isWhatWasSent(stored, segment)) throw different(store.name, key)
  if (!isOwn(footer.token) && !(await isAdoptable(deps, upload, stored)))
    throw new BrokerError('TIER_CONFLICT', { store: store.name, key })
  return objectOf(stored, name)
}

const isWhatWasSent = ({ bytes, footer }: StoredSegment, segment: WrittenSegment): boolean =>
  bytes === segment.bytes.length &&
  footer.token === segment.footer.token &&
  sameContent(footer, segment.footer)

/** Of an earlier life, it holds what the log holds; more or less of it than would be sent now. */
const isAdoptable = async (
  deps: UploadDeps,
  { topic, segment, signal, name }: Upload,
  stored: StoredSegment,
): Promise<boolean> => {
  const { footer } = stored
  if (!isOfTopic(footer, segment.footer)) return false
  const leading = footer.sections.find(({ queueId }) => queueId === name.leader)
  if (leading?.from !== name.leaderFrom) return false
  for (const section of footer.sections) {
    const queue = topic.queues[section.queueId]
    const isLeading = section.queueId === name.leader
    // What left the log meanwhile cannot be compared, and will not be taken.
    if (!isLeading && (queue === undefined || section.from < queue.localMin)) continue
    if (!(await holdsSameMessages(deps, stored, section, { topic, signal }))) return false
  }
  return true
}

const isOfTopic = (one: SegmentFooter, other: SegmentFooter): boolean =>
  one.namespace === other.namespace && one.topicId === other.topicId && one.topic === other.topic

const different = (store: string, key: string) =>
  new BrokerError('TIER_UNAVAILABLE', {
    store,
    operation: `verify ${key}`,
    reason: 'what it has is not what was sent',
  })
