import type { Clock } from '../../model/ports.ts'
import { copied, type SortedMap } from '../memory/sorted-map.ts'
import type { Database, Entry, Operation, Range, Snapshot } from '../ports/database.ts'
import type { DatabaseName } from '../ports/place.ts'
import type { PlaceEvent } from './crashable-events.ts'
import { unavailable, type Fault, type Faults, type WriteFault } from './faults.ts'
import { mutateIn, type LogRecord, type WriteAheadLog } from './write-ahead-log.ts'

export interface CrashableDatabaseOptions {
  readonly name: DatabaseName
  readonly clock: Clock
  readonly log: WriteAheadLog
  readonly faults: Faults
  /** Looked at by every write that no injected fault has failed. */
  readonly isDiskFull: () => boolean
  readonly emit: (event: PlaceEvent) => void
  readonly closed: () => void
}

interface Write {
  readonly operation: 'write' | 'clear'
  /** Made when the write's turn comes; each becomes one record. */
  readonly batches: () => Operation[][]
  readonly sync: boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface RunningWrite extends Omit<Write, 'batches'> {
  readonly batches: Operation[][]
  readonly records: readonly LogRecord[]
}

/**
 * One open handle, with LevelDB's manners: one write at a time, in the order of the calls; what
 * is written becomes readable when it is acknowledged; and after a torn record it goes on
 * acknowledging what its next opening will not find.
 */
export class CrashableDatabase implements Database {
  readonly #options: CrashableDatabaseOptions
  readonly #live: SortedMap
  readonly #now: Snapshot
  readonly #snapshots = new Set<Snapshot>()
  readonly #queue: Write[] = []
  #running: RunningWrite | undefined
  /** Set when a sync has failed: LevelDB then trusts the file no more. */
  #latched: Fault['error'] | undefined
  #isClosing = false
  #isCrashed = false
  readonly #closed: Promise<void>
  #resolveClosed = (): void => {}

  constructor(options: CrashableDatabaseOptions) {
    this.#options = options
    this.#live = options.log.replay()
    this.#now = this.#reading(this.#live)
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  write(operations: readonly Operation[], { sync }: { sync: boolean }): Promise<void> {
    const batch = copied(operations)
    return this.#enqueue({ operation: 'write', batches: () => [batch], sync })
  }

  /** Like LevelDB's, not atomic: a crash may leave the rest of the range. */
  clear(range: Range): Promise<void> {
    const batches = (): Operation[][] =>
      this.#live.slice(range).map(({ key }) => [{ type: 'del', key }])
    return this.#enqueue({ operation: 'clear', batches, sync: false })
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#now.get(key)
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#now.getMany(keys)
  }

  entries(range?: Range): AsyncIterable<Entry> {
    return this.#now.entries(range)
  }

  keys(range?: Range): AsyncIterable<Uint8Array> {
    return this.#now.keys(range)
  }

  get snapshots(): number {
    return this.#snapshots.size
  }

  snapshot(): Snapshot {
    this.#assertOpen('read')
    const snapshot = this.#reading(this.#live.clone(), () => this.#snapshots.delete(snapshot))
    this.#snapshots.add(snapshot)
    return snapshot
  }

  close(): Promise<void> {
    if (!this.#isClosing && !this.#isCrashed) {
      this.#isClosing = true
      this.#closeWhenIdle()
    }
    return this.#closed
  }

  /** The power goes: nothing that was under way gets an answer but this. */
  crash(): void {
    this.#isCrashed = true
    const pending = [this.#running, ...this.#queue.splice(0)]
    this.#running = undefined
    for (const write of pending)
      write?.reject(unavailable(this.#options.name, write.operation, 'POWER_CUT'))
    this.#resolveClosed()
  }

  corrupt(key: Uint8Array, mutate: (value: Uint8Array) => Uint8Array): void {
    mutateIn(this.#live, key, mutate)
  }

  async #enqueue(write: Pick<Write, 'operation' | 'batches' | 'sync'>): Promise<void> {
    this.#assertOpen(write.operation)
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...write, resolve, reject })
      this.#startNext()
    })
  }

  #startNext(): void {
    if (this.#running !== undefined) return
    const write = this.#queue.shift()
    if (write === undefined) return this.#closeWhenIdle()
    const { clock, faults, log } = this.#options
    const batches = write.batches()
    this.#emit('write.started', batches)
    // From its start on, a batch may be on the medium after a crash.
    const records = this.#latched === undefined ? batches.map((batch) => log.append(batch)) : []
    const running = { ...write, batches, records }
    this.#running = running
    const finish = () => faults.unlessHanging(() => this.#finish(running))
    if (faults.slowMs > 0) clock.after(faults.slowMs, finish)
    else clock.soon(finish)
  }

  #finish(write: RunningWrite): void {
    if (this.#running !== write) return // The power went meanwhile.
    this.#running = undefined
    const fault = this.#faultOfWrite()
    if (fault === undefined) this.#acknowledge(write)
    else this.#fail(write, fault)
    this.#startNext()
  }

  #faultOfWrite(): WriteFault | undefined {
    if (this.#latched !== undefined) return { error: this.#latched, leaves: 'nothing' }
    const full: WriteFault | undefined = this.#options.isDiskFull()
      ? { error: 'ENOSPC' }
      : undefined
    return this.#options.faults.nextWrite() ?? full
  }

  #acknowledge({ batches, sync, resolve }: RunningWrite): void {
    for (const batch of batches) this.#live.apply(batch)
    if (sync) this.#options.log.sync()
    this.#emit(sync ? 'write.synced' : 'write.accepted', batches)
    resolve()
  }

  #fail(write: RunningWrite, { error, leaves = 'torn' }: WriteFault): void {
    const { log, name } = this.#options
    const [first, ...rest] = write.records
    if (leaves === 'whole') this.#latched = error
    else for (const record of rest) log.drop(record)
    if (first !== undefined && leaves === 'torn') first.isTorn = true
    if (first !== undefined && leaves === 'nothing') log.drop(first)
    this.#emit('write.failed', write.batches)
    write.reject(unavailable(name, write.operation, error))
  }

  #reading(map: SortedMap, closed: () => void = () => {}): Snapshot {
    let isClosed = false
    const assertOpen = (): void => {
      if (isClosed) throw unavailable(this.#options.name, 'read')
      this.#assertOpen('read')
    }
    const read = async <T>(work: () => T): Promise<T> => {
      assertOpen()
      return this.#read(work)
    }
    async function* entries(range: Range = {}): AsyncIterable<Entry> {
      for (const entry of await read(() => map.slice(range))) {
        assertOpen()
        yield entry
      }
    }
    async function* keys(range?: Range): AsyncIterable<Uint8Array> {
      for await (const { key } of entries(range)) yield key
    }
    const close = async (): Promise<void> => {
      isClosed = true
      closed()
    }
    return {
      get: (key) => read(() => map.get(key)),
      getMany: (wanted) => read(() => wanted.map((key) => map.get(key))),
      entries,
      keys,
      close,
    }
  }

  async #read<T>(read: () => T): Promise<T> {
    this.#assertOpen('read')
    const { clock, faults, name } = this.#options
    return new Promise((resolve, reject) => {
      clock.soon(() => {
        if (this.#isCrashed) return reject(unavailable(name, 'read', 'POWER_CUT'))
        const fault = faults.nextRead()
        if (fault === undefined) resolve(read())
        else reject(unavailable(name, 'read', fault.error))
      })
    })
  }

  /** After the reads that came before, because what is soon keeps its order. */
  #closeWhenIdle(): void {
    if (!this.#isClosing || this.#running !== undefined) return
    this.#options.clock.soon(() => {
      if (this.#isCrashed) return
      this.#options.closed()
      this.#resolveClosed()
    })
  }

  #assertOpen(operation: string): void {
    if (this.#isClosing || this.#isCrashed) throw unavailable(this.#options.name, operation)
  }

  #emit(type: `write.${string}` & PlaceEvent['type'], batches: readonly Operation[][]): void {
    this.#options.emit({ type, database: this.#options.name, operations: batches.flat() })
  }
}
