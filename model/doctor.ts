/** One thing that a doctor has looked at. */
export interface Check {
  readonly name: 'directory' | 'format' | 'lock' | 'ballast' | 'disk' | 'clock' | 'port'
  readonly state: 'ok' | 'warning' | 'fault'
  readonly says: string
  /** What to do; where there is nothing to do, missing. */
  readonly remedy?: string
}

export interface Examination {
  readonly checks: readonly Check[]
  /** A running broker holds the directory: only it can read the data. */
  readonly isInUse: boolean
  /** There is data of a known format, in nobody's use. */
  readonly isReadable: boolean
}

/** Something stored that is not as it was written. */
export interface Fault {
  readonly store: 'CommitLog' | 'index'
  /** A position of the log, or an owner and its part of the index. */
  readonly where: string
  readonly what: string
  readonly remedy: string
}

export type VerifyStep =
  /** Bytes of the log looked at so far, and in all. */
  | { readonly type: 'progress'; readonly done: number; readonly of: number }
  | { readonly type: 'fault'; readonly fault: Fault }
  | {
      readonly type: 'verified'
      readonly chunks: number
      readonly bytes: number
      readonly messages: number
      readonly indexEntries: number
      readonly faults: number
    }

export const verifyRemedies = {
  CommitLog:
    'Delete nothing. Restore the newest backup into a new directory, or ask with this sentence at hand.',
  index:
    'Stop the broker and move the directory index out of the data directory: the next start makes it anew from the log.',
} as const
