import { startConsumer, startProducer } from '../../support/clients.ts'
import { drain, Load, type LoadReport } from './load.ts'

/**
 * A process of its own: the official client sends and consumes until the broker is gone, then says
 * what it was told. The client goes on dialling a dead broker for ever, so it must end with it.
 */
export interface Orders extends Pick<LoadReport, 'next' | 'unanswered'> {
  readonly endpoint: string
  readonly topic: string
  readonly brokerPid: number
  /**
   * Kills the broker in the turn in which so many receipts are there: whatever was answered too
   * early is most likely not written then. 0 leaves killing to others.
   */
  readonly killAtReceipt: number
}

export interface Told {
  readonly load: LoadReport
  readonly seen: readonly number[]
  readonly refusals: LoadReport['failures']
}

const { endpoint, topic, brokerPid, killAtReceipt, ...rest } = JSON.parse(
  process.argv[2] ?? '',
) as Orders
const load = new Load(topic)
load.resume(rest)
load.onAcknowledged = () => {
  if (load.acknowledged.size === killAtReceipt) process.kill(brokerPid, 'SIGKILL')
}
const seen = new Set<number>()
const producer = await startProducer(endpoint, { topics: [topic] })
const consumer = await startConsumer(endpoint, { topic, group: 'tail' })
process.stdout.write('started\n')
const [, refusals] = await Promise.all([load.run(producer), drain(consumer, seen, () => false)])
const told: Told = { load: load.report(), seen: [...seen], refusals: [...refusals] }
process.stdout.write(JSON.stringify(told), () => process.exit(0))
