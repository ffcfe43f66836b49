import type { TopicSettings } from '../../model/addressing/topic.ts'
import { type TierObject, tierObjectKey } from '../../model/tier/tier-objects.ts'

const MANIFEST_FORMAT = 1

/** A topic incarnation and the objects that hold its history, for people and for repairs. */
export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT
  readonly namespace: string
  readonly topicId: number
  readonly topic: string
  readonly settings: TopicSettings
  readonly objects: readonly ManifestObject[]
}

export interface ManifestObject {
  readonly key: string
  readonly bytes: number
  readonly storedAtMs: number
  /** `[queue, from, to, first store time, last store time]` of each section. */
  readonly sections: readonly (readonly [number, number, number, number, number])[]
}

export interface Manifested {
  readonly namespace: string
  readonly topicId: number
  readonly name: string
  readonly settings: TopicSettings
  readonly objects: readonly TierObject[]
}

/** The same topic and objects give the same bytes (docs/formats/manifest.md). */
export const encodeManifest = ({ namespace, topicId, name, settings, objects }: Manifested) => {
  const { type, queues, retention, paused = false } = settings
  const { ageMs, bytes } = retention
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    namespace,
    topicId,
    topic: name,
    settings: { type, queues, retention: { ageMs, bytes }, ...(paused && { paused }) },
    objects: objects.map((object) => ({
      key: tierObjectKey(topicId, object),
      bytes: object.bytes,
      storedAtMs: object.storedAtMs,
      sections: object.sections.map(({ queueId, from, to, firstMs, lastMs }) => [
        queueId,
        from,
        to,
        firstMs,
        lastMs,
      ]),
    })),
  }
  return Buffer.from(`${JSON.stringify(manifest)}\n`)
}
