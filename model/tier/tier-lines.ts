import type { TierStep } from './tier-admin.ts'

/** What a stream about the tier tells, line by line: steps, and at last how it ended. */
export type TierLine =
  | ({ readonly type: 'step' } & TierStep)
  | { readonly type: 'failed'; readonly code: string; readonly message: string; remedy: string }
  | TierDone

export interface TierDone {
  readonly type: 'done'
  readonly objects: number
  readonly bytes: number
  readonly problems: number
}
