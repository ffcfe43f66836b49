import type { Random } from '../../model/ports.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'

/** Where the tier is, and what it needs besides. */
export interface TierComponents {
  readonly store: ObjectStore
  readonly random: Random
}
