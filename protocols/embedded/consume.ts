import type { ReceiveOptions } from './embedded-broker.ts'
import type { ReceivedMessage } from './received-message.ts'

export type ConsumeOptions = Omit<ReceiveOptions, 'waitMs'>

interface Source {
  receive(options: ReceiveOptions): Promise<ReceivedMessage[]>
  extend(message: ReceivedMessage, invisibleMs: number): Promise<void>
}

/** Nobody is at the end of a line that could break, so there is no hurry to look anew. */
const WAIT_MS = 3_600_000

/**
 * Receives batch after batch and hands the messages out one by one. Leaving the loop gives the
 * rest of the batch back at once; an aborted `signal` ends it. Acknowledging is the caller's.
 */
export async function* consume(
  source: Source,
  options: ConsumeOptions,
): AsyncGenerator<ReceivedMessage, void, undefined> {
  let batch: ReceivedMessage[] = []
  try {
    while (!options.signal?.aborted) {
      batch = await source.receive({ batchMax: 8, ...options, waitMs: WAIT_MS })
      for (let message = batch.shift(); message; message = batch.shift()) yield message
    }
  } finally {
    // A message that is late or whose broker is closing comes back by itself.
    await Promise.allSettled(batch.map((message) => source.extend(message, 0)))
  }
}
