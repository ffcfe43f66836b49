import type { Random } from '../../model/ports.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import type { RequestTap } from '../../storage/ports/request-tap.ts'

/** Where the tier is, and what it needs besides. */
export interface TierComponents {
  readonly store: ObjectStore
  readonly random: Random
  /** Tells of every request that goes out to the store; missing where nobody can. */
  readonly requests?: RequestTap
}
