import type { TierState } from '../../model/addressing/registry-facts.ts'
import type { TierObject, TierSection } from '../../model/tier/tier-objects.ts'
import type { Cursor } from '../../model/wire/varint.ts'
import { type Field, readText } from './fields.ts'

const sectionFields = (section: TierSection): Field[] => [
  section.queueId,
  section.from,
  section.to - section.from,
  section.firstMs,
  section.lastMs - section.firstMs,
  section.indexAt,
  section.indexBytes,
  section.namesAt,
  section.namesBytes,
  section.bytes,
]

const readSection = (payload: Cursor): TierSection => {
  const queueId = payload.varint()
  const from = payload.varint()
  const to = from + payload.varint()
  const firstMs = payload.varint()
  return {
    queueId,
    from,
    to,
    firstMs,
    lastMs: firstMs + payload.varint(),
    indexAt: payload.varint(),
    indexBytes: payload.varint(),
    namesAt: payload.varint(),
    namesBytes: payload.varint(),
    bytes: payload.varint(),
  }
}

export const objectFields = (object: TierObject): Field[] => [
  object.namespace,
  object.leader,
  object.leaderFrom,
  object.bytes,
  object.storedAtMs,
  object.sections.length,
  ...object.sections.flatMap(sectionFields),
]

export const readObject = (payload: Cursor): TierObject => ({
  namespace: readText(payload),
  leader: payload.varint(),
  leaderFrom: payload.varint(),
  bytes: payload.varint(),
  storedAtMs: payload.varint(),
  sections: Array.from({ length: payload.varint() }, () => readSection(payload)),
})

/** What a topic has in the tier; of most topics a single zero. */
export const tierFields = (tier: TierState | undefined): Field[] =>
  tier === undefined
    ? [0]
    : [
        tier.namespaces.length,
        ...tier.namespaces,
        tier.objects.length,
        ...tier.objects.flatMap(objectFields),
      ]

export const readTier = (payload: Cursor): TierState | undefined => {
  const namespaces = Array.from({ length: payload.varint() }, () => readText(payload))
  if (namespaces.length === 0) return undefined
  return {
    namespaces,
    objects: Array.from({ length: payload.varint() }, () => readObject(payload)),
  }
}
