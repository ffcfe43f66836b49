import fc from 'fast-check'
import type { CoreBroker } from '../../actors/broker/broker.ts'
import { tagFilter } from '../../model/delivery/filter.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import { Lives, tinySettings } from './lives.ts'

/** What may happen to a small broker, as data. */
export type Step =
  | { readonly type: 'send'; readonly topic: number; readonly count: number }
  | { readonly type: 'receive'; readonly topic: number; readonly acks: number }
  | { readonly type: 'end'; readonly topic: number }
  | { readonly type: 'advance'; readonly ms: number }

const topic = fc.nat({ max: 2 })
export const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      topic,
      count: fc.integer({ min: 1, max: 20 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('receive' as const),
      topic,
      acks: fc.nat({ max: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('end' as const), topic }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('advance' as const),
      ms: fc.constantFrom(100, 2_500, 70_000),
    }),
  },
)

const retention = { bytes: 3_000 }

/** A broker in simulated time, and what may happen to it. */
export class Scene {
  readonly lives: Lives
  #sent = 0

  constructor(seed: number) {
    this.lives = new Lives(seed, tinySettings, () => {})
  }

  until<T>(work: Promise<T>): Promise<T> {
    return this.lives.clock.until(work)
  }

  async run(broker: CoreBroker, step: Step): Promise<void> {
    const { topics } = broker
    if (step.type === 'advance') return this.lives.clock.advance(step.ms)
    const name = `topic-${step.topic}`
    if (step.type === 'end') {
      if (topics.find(name)) await this.until(topics.end(name))
      return
    }
    await this.until(topics.create(name, { queues: 2, retention }))
    if (step.type === 'send') {
      const context = { messageId: `m${this.#sent++}`, bornAtMs: 1, bornHost: 'h' }
      const draft = encodeDraft({ body: 'x'.repeat(100) }, context)
      for (let count = 0; count < step.count; count++) await this.until(broker.append(name, draft))
      return
    }
    const request = { topic: name, group: 'group', filter: tagFilter('*'), batchMax: 8, waitMs: 0 }
    const { deliveries } = await this.until(broker.receive({ ...request, invisibleMs: 30_000 }))
    for (const { handle } of deliveries.slice(0, step.acks)) await this.until(broker.ack(handle))
  }
}
