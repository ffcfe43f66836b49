import type { Producer, SimpleConsumer } from '../../protocols/grpc/support/official-client.ts'

/** What the producer was told about one message. */
export interface Receipt {
  readonly messageId: string
  readonly offset: number
}

/** What a process that sends can tell the next one. */
export interface LoadReport {
  readonly next: number
  readonly unanswered: readonly number[]
  readonly acknowledged: readonly (readonly [number: number, receipt: Receipt])[]
  readonly tries: readonly (readonly [number: number, times: number])[]
  readonly failures: readonly (readonly [text: string, times: number])[]
}

const IN_FLIGHT = 32
const PADDING_MAX = 3_000

/** Numbered messages of many sizes, sent until told to stop. Remembers what was answered. */
export class Load {
  readonly topic: string
  /** By number, the receipt that counts. */
  readonly acknowledged = new Map<number, Receipt>()
  /** By number, how often it was sent. */
  readonly tries = new Map<number, number>()
  /** By text, how often a send failed so. */
  readonly failures = new Map<string, number>()
  #unanswered: number[] = []
  #next = 0
  #isStopped = false
  /** Called in the turn in which a receipt arrives. */
  onAcknowledged: (() => void) | undefined

  constructor(topic: string) {
    this.topic = topic
  }

  /**
   * Sends with 32 in flight until `stop()` or `sends` are made. A lane that is told of a failure
   * ends, or rests for `restMs` and goes on.
   */
  async run(producer: Producer, { sends = Infinity, restMs = 0 } = {}): Promise<void> {
    this.#isStopped = false
    let left = sends
    const lane = async (): Promise<void> => {
      while (!this.#isStopped && left-- > 0) {
        if (await this.#send(producer)) continue
        if (restMs === 0) return
        await new Promise((resolve) => setTimeout(resolve, restMs))
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  }

  stop(): void {
    this.#isStopped = true
  }

  /** What the next process has to know to go on. */
  get rest(): Pick<LoadReport, 'next' | 'unanswered'> {
    return { next: this.#next, unanswered: this.#unanswered }
  }

  resume({ next, unanswered }: Pick<LoadReport, 'next' | 'unanswered'>): void {
    this.#next = next
    this.#unanswered = [...unanswered]
  }

  report(): LoadReport {
    const { acknowledged, tries, failures } = this
    return {
      ...this.rest,
      acknowledged: [...acknowledged],
      tries: [...tries],
      failures: [...failures],
    }
  }

  absorb(report: LoadReport): void {
    this.resume(report)
    for (const [number, receipt] of report.acknowledged) this.acknowledged.set(number, receipt)
    for (const [number, times] of report.tries) add(this.tries, number, times)
    for (const [text, times] of report.failures) add(this.failures, text, times)
  }

  /** What was not answered with a receipt is sent again, and may be there twice. */
  async #send(producer: Producer): Promise<boolean> {
    const number = this.#unanswered.shift() ?? this.#next++
    add(this.tries, number, 1)
    try {
      const { messageId, offset } = await producer.send({ topic: this.topic, body: bodyOf(number) })
      this.acknowledged.set(number, { messageId, offset })
      this.onAcknowledged?.()
      return true
    } catch (error) {
      add(this.failures, String(error), 1)
      this.#unanswered.push(number)
      return false
    }
  }
}

const add = <Key>(counts: Map<Key, number>, key: Key, by: number): void => {
  counts.set(key, (counts.get(key) ?? 0) + by)
}

const bodyOf = (number: number): Buffer =>
  Buffer.from(`${number} ${'.'.repeat((number * 37) % PADDING_MAX)}`)

export const numberOf = (body: string): number => Number.parseInt(body, 10)

/**
 * Receives and acknowledges until the broker is gone or `isEnough`; remembers what it saw. The
 * result says how often it was refused something, by text.
 */
export const drain = async (
  consumer: SimpleConsumer,
  seen: Set<number>,
  isEnough: () => boolean,
): Promise<Map<string, number>> => {
  const refusals = new Map<string, number>()
  while (!isEnough()) {
    try {
      const messages = await consumer.receive(32, 10_000)
      for (const { body } of messages) seen.add(numberOf(body.toString()))
      await Promise.all(messages.map((message) => consumer.ack(message)))
    } catch (error) {
      // Killed in the middle: what was not acknowledged comes again.
      if (!String(error).includes('response-code=')) return refusals
      add(refusals, String(error), 1)
    }
  }
  return refusals
}
