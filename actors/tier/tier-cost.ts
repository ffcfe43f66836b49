import { requestKinds } from '../../model/tier/requests.ts'
import type { TierCost } from '../../model/tier/tier-admin.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { Topic } from '../topic/topic.ts'
import type { RequestBook } from './request-book.ts'
import type { TierSettings } from './settings.ts'

const GIB = 2 ** 30
const DAYS_A_MONTH = 30

/** What the tier costs, by the price list, if it goes on as in the last day. */
export class TierCosts {
  readonly #state: BrokerState
  readonly #requests: RequestBook
  readonly #settings: Pick<TierSettings, 'prices' | 'budgetPerMonth'>

  constructor(deps: { state: BrokerState; requests: RequestBook; settings: TierSettings }) {
    this.#state = deps.state
    this.#requests = deps.requests
    this.#settings = deps.settings
  }

  get total(): TierCost {
    const { budgetPerMonth } = this.#settings
    let perMonth = 0
    for (const topicId of this.#requests.topics()) perMonth += this.#asked(topicId)
    for (const topic of this.#state.topics.values()) perMonth += this.#stored(topic)
    return { perMonth, budgetPerMonth, isPaused: budgetPerMonth > 0 && perMonth > budgetPerMonth }
  }

  perMonth(topicId: number): number {
    return this.#asked(topicId) + this.#stored(this.#state.topics.get(topicId))
  }

  #stored(topic: Topic | undefined): number {
    if (topic === undefined || topic.tier.objects.length === 0) return 0
    return (bytesOf(topic) / GIB) * this.#settings.prices.perGibMonth
  }

  #asked(topicId: number): number {
    const { requests } = this.#settings.prices
    const ofDay = this.#requests.ofDay(topicId)
    let perDay = 0
    for (const kind of requestKinds) perDay += (ofDay[kind] * requests[kind]) / 1_000
    return perDay * DAYS_A_MONTH
  }
}

export const bytesOf = ({ tier }: Topic): number => {
  let sum = 0
  for (const { bytes } of tier.objects) sum += bytes
  return sum
}
