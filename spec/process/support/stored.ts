import { createBroker } from '../../../index.ts'
import { numberOf } from './load.ts'
import type { Load } from './load.ts'

export interface StoredMessage {
  readonly number: number
  readonly messageId: string
  readonly queueId: number
  readonly offset: number
}

/** Everything in a topic of a stopped broker, in the order in which a new group receives it. */
export const storedIn = async (
  options: { readonly dataDir: string; readonly tier?: 'off' | 'directory' },
  topic: string,
): Promise<StoredMessage[]> => {
  await using broker = await createBroker(options)
  const stored: StoredMessage[] = []
  for (;;) {
    const messages = await broker.receive({ topic, group: 'reader' })
    if (messages.length === 0) return stored
    for (const message of messages) {
      const { messageId, queueId, queueOffset: offset } = message
      stored.push({ number: numberOf(message.text), messageId, queueId, offset })
      await message.ack()
    }
  }
}

/** What is wrong with what is stored, given what was sent; empty when nothing is. */
export const wrongs = (stored: readonly StoredMessage[], load: Load): string[] => [
  ...lost(stored, load),
  ...duplicates(stored, load),
  ...disorder(stored),
]

const lost = (stored: readonly StoredMessage[], load: Load): string[] => {
  const byId = new Map(stored.map((message) => [message.messageId, message]))
  return [...load.acknowledged].flatMap(([number, { messageId, offset }]) => {
    const message = byId.get(messageId)
    if (message === undefined) return [`${number} was acknowledged and is lost`]
    if (message.number !== number) return [`${number} has the body of ${message.number}`]
    return message.offset === offset ? [] : [`${number} is at ${message.offset}, not at ${offset}`]
  })
}

const duplicates = (stored: readonly StoredMessage[], load: Load): string[] => {
  const counts = new Map<number, number>()
  for (const { number } of stored) counts.set(number, (counts.get(number) ?? 0) + 1)
  return [...counts].flatMap(([number, count]) => {
    const tries = load.tries.get(number) ?? 0
    return count <= tries ? [] : [`${number} is there ${count} times and was sent ${tries} times`]
  })
}

/** Every queue begins with 0 and goes on without holes, and is received in that order. */
const disorder = (stored: readonly StoredMessage[]): string[] => {
  const next = new Map<number, number>()
  return stored.flatMap(({ queueId, offset }) => {
    const expected = next.get(queueId) ?? 0
    next.set(queueId, offset + 1)
    return offset === expected ? [] : [`queue ${queueId}: ${offset} came where ${expected} should`]
  })
}
