import { brokerDefaults, type BrokerSettings } from '../../../actors/broker/settings.ts'
import { tagFilter } from '../../../model/delivery/filter.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import type { Delivery, ReceiveRequest } from '../../../model/ports.ts'
import { type Life, Lives } from '../../simulation/lives.ts'

export const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
    return 'done'
  } catch (error) {
    return isBrokerError(error) ? error.code : String(error)
  }
}

/** What a delivery says in a few words: queue offset, attempt and cause. */
export const said = (deliveries: readonly Delivery[]): string =>
  deliveries
    .map(({ message, attempt, cause }) => `${message.queueOffset}.${attempt} ${cause}`)
    .join(', ')

/** A broker under a simulated clock, with a topic of one queue, that may die and come back. */
export class AGroup {
  readonly lives: Lives
  life!: Life
  #sent = 0

  constructor(settings: Partial<BrokerSettings> = {}) {
    this.lives = new Lives(1, { ...brokerDefaults, ...settings }, () => {})
  }

  static async open(settings: Partial<BrokerSettings> = {}): Promise<AGroup> {
    const world = new AGroup(settings)
    world.life = await world.lives.open()
    await world.until(world.broker.topics.create('topic', { queues: 1, type: 'MIXED' }))
    return world
  }

  get broker() {
    return this.life.broker
  }

  get clock() {
    return this.lives.clock
  }

  until<Result>(work: Promise<Result>): Promise<Result> {
    return this.clock.until(work)
  }

  /** Sends so many messages, one after the other. */
  async send(count: number, messageGroup = ''): Promise<void> {
    for (let index = 0; index < count; index++) {
      const message = encodeDraft(
        { body: `${this.#sent}`, messageGroup },
        { messageId: `m${this.#sent++}`, bornAtMs: 1, bornHost: 'here' },
      )
      await this.until(this.broker.append('topic', message))
    }
  }

  request(more: Partial<ReceiveRequest> = {}): ReceiveRequest {
    return {
      ...{ topic: 'topic', group: 'group', filter: tagFilter('*'), batchMax: 32 },
      ...{ invisibleMs: 10_000, waitMs: 0, ...more },
    }
  }

  async receive(more: Partial<ReceiveRequest> = {}): Promise<readonly Delivery[]> {
    return (await this.until(this.broker.receive(this.request(more)))).deliveries
  }

  /** As `receive`, but time is left to somebody else. */
  async waiting(more: Partial<ReceiveRequest>): Promise<readonly Delivery[]> {
    return (await this.broker.receive(this.request(more))).deliveries
  }

  async ack(deliveries: readonly Delivery[]): Promise<void> {
    for (const { handle } of deliveries) await this.until(this.broker.ack(handle))
  }

  /** Everything admitted so far is on disk. */
  flush(): Promise<void> {
    return this.until(this.broker.log.flush())
  }

  /** Closes in order and starts again. */
  async restart(): Promise<void> {
    await this.until(this.broker.close())
    this.life.die()
    this.life = await this.lives.open()
  }

  /** Whatever was not synced is gone. */
  async powerCut(): Promise<void> {
    this.life.die()
    this.lives.place.crash(1)
    await this.clock.settle()
    this.life = await this.lives.open()
  }

  async close(): Promise<void> {
    await this.until(this.broker.close())
  }
}
