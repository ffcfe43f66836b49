import type { Database } from './database.ts'

/** glasspost's two databases: bodies and what is derived from them (house: section 3). */
export const databaseNames = ['commit-log', 'index'] as const
export type DatabaseName = (typeof databaseNames)[number]

export interface DiskUsage {
  readonly totalBytes: number
  readonly freeBytes: number
}

/**
 * Where a broker keeps its data: a directory, or memory. Contract:
 * `spec/contracts/place.contract.ts`.
 *
 * Opening a place checks its format version (`DATA_FORMAT_UNKNOWN`) and takes it for this
 * process alone (`DATA_DIR_LOCKED`). The opener closes it.
 */
export interface Place {
  /** For messages to people, such as the directory. */
  readonly name: string
  /**
   * Opens one of the databases. It may be opened again after its handle was closed; two open
   * handles of one database are refused.
   */
  openDatabase(name: DatabaseName): Promise<Database>
  diskUsage(): Promise<DiskUsage>
  /** Space kept back so that a database can be reopened on a full disk. */
  readonly ballast: Ballast
  /** A secret of this place, 32 bytes, the same for ever: seals receipt handles. */
  readonly secret: Uint8Array
  close(): Promise<void>
}

export interface Ballast {
  /** Gives the reserve back to the disk. Harmless when it is gone already. */
  release(): Promise<void>
  /** Takes the reserve again. Resolves false when there is no room for it. */
  restore(): Promise<boolean>
}
