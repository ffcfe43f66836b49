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
    for (const topicId of new Set([...this.#requests.topics(), ...this.#state.topics.keys()]))
      perMonth += this.perMonth(topicId)
    return { perMonth, budgetPerMonth, isPaused: budgetPerMonth > 0 && perMonth > budgetPerMonth }
  }

  perMonth(topicId: number): number {
    const { prices } = this.#settings
    const topic = this.#state.topics.get(topicId)
    const stored = ((topic ? bytesOf(topic) : 0) / GIB) * prices.perGibMonth
    const ofDay = this.#requests.ofDay(topicId)
    let asked = 0
    for (const kind of requestKinds) asked += (ofDay[kind] * prices.requests[kind]) / 1_000
    return stored + asked * DAYS_A_MONTH
  }
}

export const bytesOf = ({ tier }: Topic): number => {
  let sum = 0
  for (const { bytes } of tier.objects) sum += bytes
  return sum
}
