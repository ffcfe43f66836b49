/**
 * An ordered map of bytes to bytes on some medium, as glasspost needs it: a thin port over
 * LevelDB. Contract: `spec/contracts/database.contract.ts`.
 *
 * Keys are compared as unsigned bytes, shorter before longer. Returned values may share
 * memory with the store and must not be written to. One writer: batches are applied in the
 * order in which `write` was called.
 */
export interface Database extends Readable {
  /**
   * Applies all operations or none, also across a crash. `sync: true` resolves only after this
   * batch and every earlier one reached the medium. After any rejected write the handle is
   * dead: every later write and read must be refused by the owner until it has reopened.
   */
  write(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void>
  /** Removes every key in the range and lets the medium give the space back. */
  clear(range: Range): Promise<void>
  /**
   * Everything that was readable at this call, for as long as it is open: what is written or
   * cleared later does not show, and keeps its space. It ends with the database at the latest.
   */
  snapshot(): Snapshot
  /** Snapshots that are open: each holds the space of what was cleared behind it. */
  readonly snapshots: number
  /** Waits for running operations, then releases everything. Twice is fine. */
  close(): Promise<void>
}

export interface Readable {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** Entries in key order. Sees a consistent snapshot from the first step on. */
  entries(range?: Range): AsyncIterable<Entry>
  /** Keys in key order, without reading the values. */
  keys(range?: Range): AsyncIterable<Uint8Array>
}

/** Its opener closes it; a read behind that, or behind the database's end, is refused. */
export interface Snapshot extends Readable {
  /** Twice is fine. */
  close(): Promise<void>
}

export type Operation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

export interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface Range {
  readonly gte?: Uint8Array
  readonly gt?: Uint8Array
  readonly lt?: Uint8Array
  readonly reverse?: boolean
  readonly limit?: number
}
