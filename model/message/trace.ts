import type { SystemFields } from './message.ts'

/** A message as an operator sees it, without leasing it. */
export interface MessageView extends SystemFields {
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly storeAtMs: number
  readonly properties: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** One thing that happened to a message. */
export interface TraceStep {
  readonly what:
    | 'stored'
    | 'leased'
    | 'extended'
    | 'renewed'
    | 'negativeAck'
    | 'sessionLost'
    | 'expired'
    | 'acked'
    | 'filteredOut'
    | 'deadLettered'
    | 'redriven'
    | 'purged'
    | 'reset'
    | 'offloaded'
    | 'trimmed'
  /** Wall clock; not before this. */
  readonly atMs: number
  /** Where the log does not tell the time itself: not after this either. */
  readonly notAfterMs?: number
  readonly group?: string
  readonly attempt?: number
  readonly invisibleUntilMs?: number
  /** Who held it, where it is known. */
  readonly clientId?: string
  readonly detail?: string
}

/** The life of a message, oldest step first. */
export interface MessageTrace {
  readonly message: MessageView
  readonly steps: readonly TraceStep[]
  /** Key of the object that holds it; undefined when the log still does. */
  readonly tierObject?: string
  /** History before this time was reclaimed, wall clock; undefined when all of it is there. */
  readonly reclaimedBeforeMs?: number
  /** Bytes of log behind the last step that were not read; undefined when all were. */
  readonly unreadBytes?: number
}

export interface MessageQuery {
  readonly topic: string
  readonly key?: string
  readonly fromMs?: number
  readonly toMs?: number
  /** Default 32, at most 1,000. */
  readonly limit?: number
}

/** Finding stored messages. Nothing is leased, nothing moves. */
export interface Messages {
  /**
   * By id; a client may have sent one id twice. Searches every topic unless one is named. In a tier
   * with much history an id of RocketMQ 5 is looked for where it was made first, and may be enough;
   * otherwise throws `MESSAGE_SEARCH_TOO_WIDE`, as `why` does.
   */
  byId(messageId: string, topic?: string): Promise<readonly MessageView[]>
  /** By key and by time, oldest first. Throws `MESSAGE_SEARCH_TOO_WIDE`. */
  find(query: MessageQuery): Promise<readonly MessageView[]>
  /** From an offset on. Throws `TOPIC_NOT_FOUND`. */
  peek(place: {
    readonly topic: string
    readonly queueId: number
    readonly fromOffset: number
    readonly limit?: number
  }): Promise<readonly MessageView[]>
  /**
   * Reads the log from the message on: what happened to it, as far as the log still tells. Finds
   * trimmed messages, too, while their bytes are there. Reads at most `bytesMax` of log, 256 MiB
   * unless told. Throws `MESSAGE_NOT_FOUND`.
   */
  why(
    messageId: string,
    topic?: string,
    options?: { readonly bytesMax?: number },
  ): Promise<readonly MessageTrace[]>
}
