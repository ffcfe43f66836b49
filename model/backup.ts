/** The first line of a backup, as JSON (docs/formats/backup.md). */
export interface BackupHeader {
  /** The format of the backup itself. */
  readonly backup: 1
  readonly writtenBy: string
  /** Wall clock. */
  readonly takenAtMs: number
  /** Every fact before this position of the CommitLog is in it, and none behind it. */
  readonly position: number
  /** Of the chunks that follow. */
  readonly bytes: number
  /** `[from, to)` pairs, flat: stretches that the log has given back. */
  readonly gaps: readonly number[]
}

/** Bytes of chunks so far, and in all. */
export interface CopyProgress {
  readonly done: number
  readonly of: number
}

export type OnProgress = (progress: CopyProgress) => void

/** A backup on its way, checked: `bytes` of all steps in their order are the backup. */
export type BackupStep =
  | { readonly type: 'header'; readonly header: BackupHeader; readonly bytes: Uint8Array }
  | { readonly type: 'chunk'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly bytes: Uint8Array }

/** A backup that is on disk, whole. */
export interface WrittenBackup extends BackupHeader {
  readonly path: string
}
