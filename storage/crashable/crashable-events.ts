import type { Operation } from '../ports/database.ts'
import type { DatabaseName } from '../ports/place.ts'

/** What happened at a place, in order, for specs that prove an order. */
export type PlaceEvent =
  | {
      /** `synced`: on the medium. `accepted`: acknowledged only. `failed`: rejected. */
      readonly type: 'write.started' | 'write.synced' | 'write.accepted' | 'write.failed'
      readonly database: DatabaseName
      readonly operations: readonly Operation[]
    }
  | {
      readonly type: 'database.opened' | 'database.refused' | 'database.closed'
      readonly database: DatabaseName
    }
  | { readonly type: 'ballast.released' | 'ballast.restored' | 'place.crashed' }
