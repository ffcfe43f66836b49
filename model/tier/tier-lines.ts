import type { ErrorKind } from '../errors.ts'
import type { TierStep } from './tier-admin.ts'

/** What a stream about the tier tells, line by line: steps, and at last how it ended. */
export type TierLine = ({ readonly type: 'step' } & TierStep) | TierFailed | TierDone

export interface TierFailed {
  readonly type: 'failed'
  readonly code: string
  readonly kind: ErrorKind
  readonly message: string
  readonly remedy: string
}

export interface TierDone {
  readonly type: 'done'
  readonly objects: number
  readonly bytes: number
  readonly problems: number
}
