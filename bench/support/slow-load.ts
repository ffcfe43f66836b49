import type { EmbeddedBroker } from '../../index.ts'

/** Consumers and producers on a broker whose flushes are slow, and how long each call took. */
export const slowLoad = {
  topic: 'slow',
  group: 'readers',
  flushMs: 500,
  consumers: 4,
  pauseMs: 20,
  sendsInFlight: 64,
} as const

export interface SlowTimes {
  readonly receives: number[]
  readonly acks: number[]
  readonly sends: number[]
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const timed = async <T>(into: number[], work: () => Promise<T>): Promise<T> => {
  const startMs = performance.now()
  const result = await work()
  into.push(performance.now() - startMs)
  return result
}

export const loadSlowly = async (broker: EmbeddedBroker, forMs: number): Promise<SlowTimes> => {
  const { topic, group, consumers, pauseMs, sendsInFlight } = slowLoad
  const times: SlowTimes = { receives: [], acks: [], sends: [] }
  const untilMs = performance.now() + forMs
  const consumer = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const messages = await timed(times.receives, () => broker.receive({ topic, group }))
      await Promise.all(messages.map((message) => timed(times.acks, () => message.ack())))
      await sleep(pauseMs)
    }
  }
  const producer = async (): Promise<void> => {
    while (performance.now() < untilMs)
      await timed(times.sends, () => broker.send(topic, { body: 'x'.repeat(1_024) }))
  }
  await Promise.all([
    ...Array.from({ length: consumers }, consumer),
    ...Array.from({ length: sendsInFlight }, producer),
  ])
  return times
}
