import type { Residue } from '../../../model/ports.ts'

interface Seen {
  /** After a collection. */
  readonly heapBytes: number
  /** Outside the heap: pools and caches, each with a bound. */
  readonly bufferBytes: number
  readonly series: readonly string[]
  readonly neighbour: string
}

export interface CyclesReport {
  readonly cycles: number
  readonly sent: number
  readonly clean: boolean
  readonly residue: readonly Residue[]
  readonly awaitingReclaim: number
  readonly before: Seen
  readonly after: Seen
  readonly actors: number
  readonly timers: readonly string[]
  readonly parked: number
}
