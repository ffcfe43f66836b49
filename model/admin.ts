import type { VerifyStep } from './doctor.ts'
import type { MessageDraft } from './message/encode.ts'
import type { AuditReport, Broker, SendReceipt } from './ports.ts'
import type { Tiering } from './tier/tier-admin.ts'

/** A background loop as its supervisor sees it. */
export interface LoopDescription {
  /** Such as `commit-log` or `topic:17`. */
  readonly address: string
  /** The state of its chart: a name, or names within names. */
  readonly state: unknown
  readonly restarts: number
  readonly lastError: string | undefined
  /** When it acts again by itself, in ms from now; undefined while nothing is scheduled. */
  readonly nextTryInMs: number | undefined
}

/**
 * What an operator's doors stand on: the broker, and what can be asked about it. HTTP serves it,
 * and the command line speaks HTTP.
 */
export interface AdminPort {
  readonly broker: Broker
  readonly version: string
  /** Why commands are refused now; undefined while everything is taken. */
  readonly refusal: () => string | undefined
  /** Every loop that must not end. */
  readonly loops: () => Iterable<LoopDescription>
  /** Encodes and stores a message, as `Broker.append`. */
  readonly send: (topic: string, draft: MessageDraft) => Promise<SendReceipt>
  readonly audit: () => Promise<AuditReport>
  /** All metrics in Prometheus' text format, in parts. */
  readonly metrics: () => AsyncIterable<string>
  /** Everything acknowledged so far, as a stream (docs/formats/backup.md). To be read or left. */
  readonly backup: () => AsyncGenerator<Uint8Array>
  /** Reads everything stored and compares it with itself. To be read or left. */
  readonly verify: () => AsyncGenerator<VerifyStep>
  readonly tiering: Tiering
}
