/**
 * Messages of one queue in an object of the tier: a dense run of offsets. Positions and sizes are
 * bytes within the object (docs/formats/segment.md).
 */
export interface TierSection {
  readonly queueId: number
  /** First queue offset. */
  readonly from: number
  /** One past the last queue offset. */
  readonly to: number
  /** Store times of the first and the last message, wall ms. */
  readonly firstMs: number
  readonly lastMs: number
  /** Where the index of its frames lies. */
  readonly indexAt: number
  readonly indexBytes: number
  /** Where the hashes of its ids and keys lie. */
  readonly namesAt: number
  readonly namesBytes: number
  /** All bytes of this section in the object. */
  readonly bytes: number
}

/**
 * An object that holds segments of a topic's queues. Its name is derived, so that a repeated
 * upload finds itself: namespace, incarnation, the queue that led, and that queue's first offset.
 */
export interface TierObject {
  /** Of the place that wrote it, 16 hex digits: two data directories never share names. */
  readonly namespace: string
  readonly leader: number
  readonly leaderFrom: number
  readonly bytes: number
  readonly storedAtMs: number
  /** Ascending by queue, at most one of each. */
  readonly sections: readonly TierSection[]
}

export const tierObjectKey = (
  topicId: number,
  { namespace, leader, leaderFrom }: Pick<TierObject, 'namespace' | 'leader' | 'leaderFrom'>,
): string =>
  `${tierTopicPrefix(namespace, topicId)}${leader}-${String(leaderFrom).padStart(16, '0')}.segment`

/** Every key of an incarnation begins so. */
export const tierTopicPrefix = (namespace: string, topicId: number): string =>
  `${namespace}/${topicId}/`

export const tierManifestKey = (namespace: string, topicId: number): string =>
  `${tierTopicPrefix(namespace, topicId)}manifest.json`
