import { isDeepStrictEqual } from 'node:util'
import { isBrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import type { TierStep } from '../../model/tier/tier-admin.ts'
import { type TierObject, tierManifestKey, tierObjectKey } from '../../model/tier/tier-objects.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import type { Manifest } from '../../storage/tier/manifest.ts'
import { verifyingSegment } from '../../storage/tier/verify-segment.ts'
import type { Topic } from '../topic/topic.ts'

/** A topic as it is looked at from outside: its objects may change meanwhile. */
export interface Claims {
  readonly topicId: number
  /** Of this data directory. */
  readonly namespace: string
  readonly objects: readonly TierObject[]
}

export const claimsOf = ({ topicId, tier }: Topic, namespace: string): Claims => ({
  topicId,
  namespace,
  objects: tier.objects,
})

const keysOf = ({ topicId, namespace, objects }: Claims): string[] => [
  tierManifestKey(namespace, topicId),
  ...objects.map((object) => tierObjectKey(topicId, object)),
]

/** Steps that `claims` take in all. */
export const stepsOf = (claims: readonly Claims[]): number =>
  claims.reduce((sum, each) => sum + keysOf(each).length, 0)

/** The objects of a topic as they lie in the store, manifest first. */
export async function* fetchSteps(
  store: ObjectStore,
  claims: Claims,
): AsyncGenerator<TierStep & { readonly content: Uint8Array }> {
  const keys = keysOf(claims)
  for (const [index, key] of keys.entries()) {
    const content = await store.get(key)
    yield { key, content, bytes: content.length, done: index + 1, of: keys.length }
  }
}

export interface VerifyDeps {
  readonly store: ObjectStore
  readonly clock: Pick<Clock, 'soon'>
}

/** Reads every object, and compares it with itself and with what the topic claims of it. */
export async function* verifySteps(
  { store, clock }: VerifyDeps,
  topic: Topic,
  claims: Claims,
): AsyncGenerator<Omit<TierStep, 'done' | 'of'>> {
  const { topicId, namespace } = claims
  const key = tierManifestKey(namespace, topicId)
  yield await examined(store, key, async (content) => manifestProblem(content, claims))
  for (const object of claims.objects) {
    const objectKey = tierObjectKey(topicId, object)
    const step = await examined(store, objectKey, (content) =>
      objectProblem(content, { key: objectKey, object, clock }),
    )
    // It expired while it was looked for.
    const isStillClaimed = topic.tier.objects.some(
      ({ leader, leaderFrom }) => leader === object.leader && leaderFrom === object.leaderFrom,
    )
    if (step.problem === undefined || isStillClaimed) yield step
    else yield { key: objectKey, bytes: 0 }
  }
}

const examined = async (
  store: ObjectStore,
  key: string,
  problemOf: (content: Buffer) => Promise<string | undefined>,
): Promise<Omit<TierStep, 'done' | 'of'>> => {
  try {
    const content = await store.get(key)
    const problem = await problemOf(content)
    return { key, bytes: content.length, ...(problem !== undefined && { problem }) }
  } catch (error) {
    if (!isBrokerError(error, 'TIER_OBJECT_NOT_FOUND', 'CORRUPT')) throw error
    return { key, bytes: 0, problem: error.message }
  }
}

interface Examining {
  readonly key: string
  readonly object: TierObject
  readonly clock: Pick<Clock, 'soon'>
}

const objectProblem = async (
  content: Buffer,
  { key, object, clock }: Examining,
): Promise<string | undefined> => {
  const verifying = verifyingSegment(content, key)
  let step = verifying.next()
  for (; step.done !== true; step = verifying.next())
    await new Promise<void>((resolve) => clock.soon(resolve))
  const { footer } = step.value
  if (content.length !== object.bytes)
    return `it has ${content.length} bytes, and the topic claims ${object.bytes}`
  const missing = object.sections.find(
    (section) => !footer.sections.some((stored) => isDeepStrictEqual(stored, section)),
  )
  return missing && `the section of queue ${missing.queueId} is not the one that the topic claims`
}

const manifestProblem = (content: Buffer, { topicId, objects }: Claims): string | undefined => {
  let manifest: Manifest
  try {
    manifest = JSON.parse(content.toString()) as Manifest
  } catch {
    return 'it is no JSON'
  }
  const named = new Set(manifest.objects.map(({ key }) => key))
  const missing = objects
    .map((object) => tierObjectKey(topicId, object))
    .find((key) => !named.has(key))
  return missing && `it does not name ${missing}`
}
