import type { BenchTarget } from './target.ts'

export interface LoadOptions {
  readonly messages: number
  readonly sizeBytes: number
  readonly inFlight: number
  readonly monotonicMs: () => number
}

/** One phase of a load, as a person or a script reads it. */
export interface Phase {
  readonly what: 'send' | 'receive and acknowledge'
  readonly messages: number
  readonly seconds: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Sends everything, then takes everything back; every message is waited for. */
export const runLoad = async (target: BenchTarget, options: LoadOptions): Promise<Phase[]> => {
  const { messages, sizeBytes } = options
  const body = 'x'.repeat(sizeBytes)
  let sent = 0
  const sending = await phase('send', options, async (timed) => {
    while (sent < messages) {
      sent++
      await timed(1, () => target.send(body))
    }
  })
  let taken = 0
  const receiving = await phase('receive and acknowledge', options, async (timed) => {
    while (taken < messages) {
      const acks = await target.receive()
      taken += acks.length
      for (const ack of acks) await timed(1, ack)
    }
  })
  return [sending, receiving]
}

type Timed = (count: number, work: () => Promise<void>) => Promise<void>

const phase = async (
  what: Phase['what'],
  { inFlight, monotonicMs }: LoadOptions,
  work: (timed: Timed) => Promise<void>,
): Promise<Phase> => {
  const latencies: number[] = []
  const startMs = monotonicMs()
  const timed: Timed = async (count, call) => {
    const beganMs = monotonicMs()
    await call()
    for (let done = 0; done < count; done++) latencies.push(monotonicMs() - beganMs)
  }
  await Promise.all(Array.from({ length: inFlight }, () => work(timed)))
  const seconds = (monotonicMs() - startMs) / 1_000
  latencies.sort((one, other) => one - other)
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  const messages = latencies.length
  const timing = { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
  return { what, messages, seconds, perSecond: messages / seconds, ...timing }
}
