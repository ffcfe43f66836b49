import { BrokerError } from '../../model/errors.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import { isBuffered } from '../../storage/codec/fact-type.ts'
import { type RecordView, recordsOf } from '../../storage/codec/record.ts'
import type { ChunkLog } from '../../storage/log/chunk-log.ts'
import type { Admission } from './admission.ts'
import type { PendingChunk } from './pending-chunk.ts'
import type { CommitLogSettings } from './settings.ts'

export interface Outcome {
  readonly present: readonly PendingChunk[]
  readonly gone: readonly PendingChunk[]
}

/**
 * What becomes of unsynced chunks after a failed write.
 *
 * Chunks never handed to the store are gone, and their callers hear so at once. Those under way
 * are settled by what the reopened tail shows, or answered `OUTCOME_UNKNOWN` at their deadline.
 * Buffered facts of gone chunks stay believed: they are admitted anew, in order.
 */
export class Resettlement {
  readonly #admission: Admission
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #settings: CommitLogSettings
  #inFlight: PendingChunk[] = []
  #waiting: PendingChunk[] = []
  #cancelDeadline: (() => void) | undefined

  constructor(
    admission: Admission,
    deps: { clock: Clock; logger: Logger; settings: CommitLogSettings },
  ) {
    this.#admission = admission
    this.#clock = deps.clock
    this.#logger = deps.logger
    this.#settings = deps.settings
  }

  /** The handle is dead. Repeated failures while reopening add nothing. */
  begin(): void {
    const { inFlight, waiting } = this.#admission.abandon()
    this.#inFlight.push(...inFlight)
    this.#waiting.push(...waiting)
    for (const chunk of waiting) chunk.settle(notWritten())
    if (this.#cancelDeadline || this.#inFlight.length === 0) return
    const { outcomeDeadlineMs } = this.#settings
    this.#cancelDeadline = this.#clock.after(outcomeDeadlineMs, () => {
      const error = new BrokerError('OUTCOME_UNKNOWN', { waitedMs: outcomeDeadlineMs })
      for (const chunk of this.#inFlight) chunk.settle(error)
    })
  }

  /** What is not settled yet, oldest first. */
  *unsettled(): Generator<PendingChunk> {
    yield* this.#inFlight
    yield* this.#waiting
  }

  /** Which chunks under way did reach the log. They do so as a prefix: a batch is atomic. */
  async compare(log: ChunkLog): Promise<Outcome> {
    const present: PendingChunk[] = []
    for (const chunk of this.#inFlight) {
      const header = await log.header(chunk.offset)
      if (header === undefined || header.checksum !== chunk.sealed?.checksum) break
      present.push(chunk)
    }
    return { present, gone: this.#inFlight.slice(present.length) }
  }

  /** The store is proven again: everybody hears, and buffered facts go on. */
  finish({ present, gone }: Outcome): void {
    this.#cancelDeadline?.()
    this.#cancelDeadline = undefined
    const abandoned = [...gone, ...this.#waiting]
    this.#inFlight = []
    this.#waiting = []
    this.#admission.released([...present, ...abandoned])
    for (const chunk of present) chunk.becomeVisible()
    for (const chunk of abandoned.toReversed()) chunk.becomeGone(notWritten())
    let readmitted = 0
    for (const chunk of abandoned) readmitted += this.#readmit(chunk)
    this.#logger.warn(
      { present: present.length, gone: abandoned.length, readmitted },
      'the commit log writes again',
    )
  }

  giveUp(error: unknown): void {
    this.#cancelDeadline?.()
    for (const chunk of this.#inFlight)
      chunk.settle(new BrokerError('OUTCOME_UNKNOWN', { waitedMs: 0 }))
    const { inFlight, waiting } = this.#admission.abandon()
    for (const chunk of inFlight) chunk.settle(new BrokerError('OUTCOME_UNKNOWN', { waitedMs: 0 }))
    for (const chunk of waiting) chunk.settle(error)
  }

  #readmit(chunk: PendingChunk): number {
    let count = 0
    for (const record of recordsOf(chunk.bytes, chunk.offset)) {
      if (!isBuffered(record.type)) continue
      this.#copy(chunk, record)
      count++
    }
    return count
  }

  #copy(from: PendingChunk, record: RecordView): void {
    const { chunk, at } = this.#admission.reserve(record.size, 'recovering')
    chunk.sinceMs ??= from.sinceMs
    chunk.bufferedCount++
    chunk.bufferedBytes += record.size
    from.bytes.copy(chunk.region, at, record.at, record.at + record.size)
  }
}

const notWritten = () =>
  new BrokerError('STORE_UNAVAILABLE', { store: 'CommitLog', operation: 'write' })
