import { BrokerError, isBrokerError } from '../../model/errors.ts'
import type { Random } from '../../model/ports.ts'
import type { CallOptions, ObjectStore } from '../ports/object-store.ts'

/** Older ones are left by probes that a crash or a store broke off. */
const LEFT_AFTER_MS = 3_600_000

/**
 * Finds out whether a store can be a tier, by what it does and not by what it is called: rejects
 * with `TIER_UNFIT` where a conditional put replaces what is there, or bytes do not come back, and
 * with `TIER_UNAVAILABLE` or `TIER_DENIED` where it cannot tell. Leaves nothing behind; what a
 * fault leaves, the janitor of the namespace finds.
 */
export const probeObjectStore = async (
  store: ObjectStore,
  {
    random,
    namespace,
    ...options
  }: { readonly random: Random; readonly namespace: string } & CallOptions,
): Promise<void> => {
  const content = random.bytes(64)
  const prefix = `${namespace}/probe-`
  const key = `${prefix}${Buffer.from(random.bytes(16)).toString('hex')}`
  const unfit = (reason: string): BrokerError =>
    new BrokerError('TIER_UNFIT', { store: store.name, reason })
  const remove = () => store.remove([key], options)
  try {
    // That it exists may be this very put, whose answer was lost; the bytes will tell.
    await exists(store.put(key, [content], { ifAbsent: true, ...options }))
    const other = store.put(key, [random.bytes(64)], { ifAbsent: true, ...options })
    if (!(await exists(other)))
      throw unfit('it replaces an object that it was told not to (If-None-Match is ignored)')
    const { from, to } = { from: 16, to: 48 }
    const read = await store.get(key, { range: { from, to }, ...options })
    if (!read.equals(content.subarray(from, to))) throw unfit('it gives back other bytes')
    if (!(await isListed(store, { prefix, key }, options)))
      throw unfit('it does not list what was put')
  } catch (error) {
    await remove().catch(() => {})
    throw error
  }
  await remove()
  if ((await store.head(key, options)) !== undefined) throw unfit('it keeps what was removed')
}

const exists = (putting: Promise<void>): Promise<boolean> =>
  putting.then(
    () => false,
    (error: unknown) => {
      if (isBrokerError(error, 'TIER_OBJECT_EXISTS')) return true
      throw error
    },
  )

const isListed = async (
  store: ObjectStore,
  wanted: { readonly prefix: string; readonly key: string },
  options: CallOptions,
): Promise<boolean> => {
  const found = []
  for await (const object of store.list(wanted.prefix, options)) found.push(object)
  const nowMs = found.find(({ key }) => key === wanted.key)?.modifiedMs
  if (nowMs === undefined) return false
  const left = found.filter(({ modifiedMs }) => modifiedMs < nowMs - LEFT_AFTER_MS)
  if (left.length > 0)
    await store.remove(
      left.map(({ key }) => key),
      options,
    )
  return true
}
