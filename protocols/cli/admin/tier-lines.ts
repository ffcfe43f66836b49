import type {
  TierQueueStatus,
  TierResidue,
  TierStatus,
  TierTopicStatus,
} from '../../../model/tier/tier-admin.ts'
import { isStuck } from '../../../model/tier/tier-states.ts'
import { printable } from './messages.ts'
import { type Cell, fields, table } from './table.ts'
import { durationText, sizeText, timeText } from './units.ts'

export const isWaiting = ({ cost, topics }: TierStatus): boolean =>
  cost.isPaused || topics.some(({ queues }) => queues.some(isStuck))

interface Shown {
  /** All queues, not only those with something to tell. */
  readonly all: boolean
}

/** The tier as people read it: the store, its topics, and every queue that is stuck. */
export const statusLines = (status: TierStatus, { all }: Shown): string[] => {
  const { store, namespace, topics } = status
  const queues = topics.flatMap((topic) =>
    topic.queues.filter((queue) => all || isStuck(queue)).map((queue) => rowOf(topic, queue)),
  )
  return [
    ...fields([
      ['tier', `${store}, namespace ${namespace}`],
      ['buffers', buffersText(status)],
      ['cache', `${sizeText(status.cache.bytes)} of ${sizeText(status.cache.bytesMax)}`],
      ['cost', costText(status)],
    ]),
    '',
    ...(topics.length === 0 ? ['nothing is in the tier yet'] : topicLines(topics)),
    ...(queues.length === 0 ? [] : ['', ...table(heads, queues)]),
  ].map(printable)
}

const buffersText = ({ buffers }: TierStatus): string => {
  const { bytes, bytesMax, highWaterBytes, waiters } = buffers
  const most = `${sizeText(highWaterBytes)} at most so far`
  const waiting = waiters === 0 ? '' : `, ${waiters} wait for room`
  return `${buffers.buffers} hold ${sizeText(bytes)} of ${sizeText(bytesMax)} (${most})${waiting}`
}

/** In the currency of the prices, cents and their parts where a month costs so little. */
const money = (amount: number): string =>
  amount.toLocaleString('en-US', {
    minimumFractionDigits: 2,
    maximumFractionDigits: amount < 1 ? 4 : 2,
  })

const costText = ({ cost: { perMonth, budgetPerMonth, isPaused } }: TierStatus): string => {
  const of = budgetPerMonth === 0 ? '' : ` of a budget of ${money(budgetPerMonth)}`
  return `${money(perMonth)} a month${of}${isPaused ? ': OFFLOADING IS PAUSED' : ''}`
}

const topicLines = (topics: readonly TierTopicStatus[]): string[] =>
  table(
    ['TOPIC', 'STATE', 'OBJECTS', 'SIZE', 'BEHIND', 'STUCK', 'COST/MONTH'],
    topics.map(({ topic, state, objects, bytes, costPerMonth, queues }) => [
      ...[topic, state, objects, sizeText(bytes)],
      queues.reduce((sum, { behind }) => sum + behind, 0),
      queues.filter(isStuck).length,
      money(costPerMonth),
    ]),
  )

const heads = ['TOPIC', 'QUEUE', 'STATE', 'BEHIND', 'IN TIER', 'IN LOG', 'NEXT', 'REASON']

const range = (from: number | undefined, to: number | undefined): string | undefined =>
  from === undefined || to === undefined ? undefined : `${from}..${to}`

const rowOf = ({ topic }: TierTopicStatus, queue: TierQueueStatus): Cell[] => [
  ...[topic, queue.queueId, queue.state, queue.behind],
  range(queue.tierMin, queue.tierEnd),
  range(queue.localMin, queue.offsetMax),
  queue.nextTryInMs === undefined ? undefined : `in ${durationText(queue.nextTryInMs)}`,
  queue.reason,
]

/** What nobody claims, or that there is none. */
export const residueLines = (objects: readonly TierResidue[]): string[] =>
  objects.length === 0
    ? ['tier: clean, every object is claimed']
    : [
        `tier: ${objects.length} without a claim; the janitor removes them`,
        ...table(
          ['OBJECT', 'SIZE', 'SINCE', 'REMOVED AFTER'],
          objects.map(({ key, bytes, modifiedMs, removedAfterMs }) => [
            ...[key, sizeText(bytes), timeText(modifiedMs), timeText(removedAfterMs)],
          ]),
        ).map(printable),
      ]
