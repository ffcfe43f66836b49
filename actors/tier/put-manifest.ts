import { type TierObject, tierManifestKey } from '../../model/tier/tier-objects.ts'
import type { CallOptions, ObjectStore } from '../../storage/ports/object-store.ts'
import { encodeManifest } from '../../storage/tier/manifest.ts'
import type { Topic } from '../topic/topic.ts'

export interface ManifestDeps {
  readonly store: ObjectStore
  readonly namespace: string
}

/** Replaces what the store says of a topic's history. In turn with whoever else changes it. */
export const putManifest = (
  { store, namespace }: ManifestDeps,
  { topicId, name, settings }: Topic,
  objects: readonly TierObject[],
  options: CallOptions = {},
): Promise<void> => {
  const content = encodeManifest({ namespace, topicId, name, settings, objects })
  return store.put(tierManifestKey(namespace, topicId), [content], { ...options, ifAbsent: false })
}
