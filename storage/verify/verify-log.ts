import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import type { Fault } from '../../model/doctor.ts'
import { verifyRemedies } from '../../model/doctor.ts'
import { isBrokerError } from '../../model/errors.ts'
import { type ChunkHeader, chunkOffsetOf, openChunk } from '../codec/chunk.ts'
import { isDeliveryFact, readDeliveriesAddress, readDeliveryFact } from '../codec/delivery-fact.ts'
import { factType, isMessage } from '../codec/fact-type.ts'
import { type MessageFact, readMessage } from '../codec/message-fact.ts'
import { type RecordView, recordsOf } from '../codec/record.ts'
import { readRegistryFact } from '../codec/registry-fact.ts'
import { checkChain } from '../log/chunk-log.ts'
import { firstOutside } from '../log/gaps.ts'
import type { Entry, Readable } from '../ports/database.ts'

/** Where a message lies. */
export interface Place {
  readonly chunk: number
  readonly at: number
  readonly size: number
}

export interface LogVisitor {
  readonly message: (fact: MessageFact, place: Place) => Promise<Fault | undefined>
  readonly registry: (fact: RegistryFact, position: number) => void
}

export interface VisitedLog {
  /** First positions of all chunks that are sound, ascending, with their sizes. */
  readonly offsets: number[]
  readonly sizes: number[]
  bytes: number
  messages: number
  end: number
  epoch: number
}

const knownTypes: ReadonlySet<number> = new Set(Object.values(factType))

export const logFault = (position: number, what: string): Fault => ({
  store: 'CommitLog',
  where: `position ${position}`,
  what,
  remedy: verifyRemedies.CommitLog,
})

const reasonOf = (error: unknown): string =>
  isBrokerError(error, 'CORRUPT')
    ? error.params.reason
    : error instanceof Error
      ? error.message
      : String(error)

/**
 * Reads the whole log once: every chunk against its checksum and its predecessor, every record
 * against its type. Goes on behind a fault; yields faults, and where it is.
 */
export class LogWalk {
  readonly visited: VisitedLog = {
    offsets: [],
    sizes: [],
    bytes: 0,
    messages: 0,
    end: 0,
    epoch: 0,
  }
  readonly #source: Readable
  readonly #visitor: LogVisitor
  readonly #holes: { readonly from: number; readonly to: number }[] = []
  #gaps: readonly number[] = []
  #previous: ChunkHeader | undefined

  constructor(source: Readable, visitor: LogVisitor) {
    this.#source = source
    this.#visitor = visitor
  }

  async *run(): AsyncGenerator<Fault | number> {
    for await (const entry of this.#source.entries()) {
      yield* this.#chunk(entry)
      yield this.visited.end
    }
    for (const { from, to } of this.#holes) {
      const position = firstOutside(this.#gaps, from)
      if (position < to) yield logFault(position, `the chunks up to ${to} are missing`)
    }
  }

  async *#chunk({ key, value }: Entry): AsyncGenerator<Fault> {
    const { visited } = this
    if (key.length !== 8) {
      yield logFault(visited.end, 'a key here is no position')
      return
    }
    const offset = chunkOffsetOf(key)
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    if (offset > visited.end) this.#holes.push({ from: visited.end, to: offset })
    if (offset < visited.end) yield logFault(offset, 'two chunks overlap')
    const isNext = offset === visited.end
    visited.end = Math.max(visited.end, offset + bytes.length)
    let header: ChunkHeader
    try {
      header = openChunk(bytes, offset)
    } catch (error) {
      this.#previous = undefined
      yield logFault(offset, reasonOf(error))
      return
    }
    try {
      if (isNext && this.#previous) checkChain(this.#previous, header)
    } catch (error) {
      yield logFault(offset, reasonOf(error))
    }
    this.#previous = header
    visited.epoch = header.epoch
    visited.offsets.push(offset)
    visited.sizes.push(bytes.length)
    visited.bytes += bytes.length
    yield* this.#records(bytes, offset, header.count)
  }

  async *#records(chunk: Buffer, offset: number, count: number): AsyncGenerator<Fault> {
    let found = 0
    let at = 0
    try {
      for (const record of recordsOf(chunk, offset)) {
        found++
        at = record.at
        if (!knownTypes.has(record.type))
          yield logFault(offset + at, `the type ${record.type} of a fact is unknown`)
        else {
          const fault = await this.#record(offset, record)
          if (fault) yield fault
        }
      }
    } catch (error) {
      yield logFault(offset + at, `a fact does not read: ${reasonOf(error)}`)
      return
    }
    if (found !== count) yield logFault(offset, `the chunk holds ${found} facts and says ${count}`)
  }

  async #record(offset: number, record: RecordView): Promise<Fault | undefined> {
    const { type, payload, version, at, size } = record
    if (isMessage(type)) {
      this.visited.messages++
      return this.#visitor.message(readMessage(type, payload), { chunk: offset, at, size })
    }
    if (isDeliveryFact(type)) {
      readDeliveriesAddress(payload)
      readDeliveryFact(type, payload, version)
      return undefined
    }
    const fact = readRegistryFact(type, payload, version)
    if (fact?.type === 'logTrimmed') this.#gaps = fact.gaps
    if (fact) this.#visitor.registry(fact, offset + at)
    return undefined
  }
}
