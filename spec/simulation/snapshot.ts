import type { CoreBroker } from '../../actors/broker/broker.ts'
import type { TopicState } from '../../model/addressing/registry-facts.ts'
import { leaseState } from '../../machines/consumer-group/deliveries.ts'

/** True when nothing is on its way: no write, no ending, no dead letter. */
export const isSettled = ({ log, state, supervisions }: CoreBroker): boolean => {
  if (log.mode !== 'writing' || log.unsyncedBytes > 0) return false
  for (const owners of ['topics', 'groups'] as const)
    for (const address of supervisions[owners].addresses())
      if (state[owners].get(Number(address.split(':')[1]))?.status !== 'serving') return false
  for (const { status } of state.topics.values()) if (status === 'ending') return false
  for (const group of state.groups.values()) {
    if (group.status === 'ending') return false
    for (const { cells } of group.subscriptions.values())
      for (const cell of cells) {
        if (cell === undefined) continue
        const { table } = cell.deliveries
        for (let slot = table.head; slot < table.tail; slot++)
          if ((table.state[slot] as number) >= leaseState.deadLettering) return false
      }
  }
  const { topics, groups } = supervisions
  for (const { state: chart } of [...topics.all(), ...groups.all()])
    if (chart !== 'serving' && !isServing(chart)) return false
  return true
}

const isServing = (chart: unknown): boolean =>
  typeof chart === 'object' && chart !== null && 'serving' in chart

/** Facts that were folded and facts that were read have their fields in other orders. */
const inOrder = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value

/**
 * The whole state of a broker, one line for each thing, without what a restart may forget: when
 * nobody acts, it is the same before and after any way of starting.
 */
export const snapshotOf = (
  { state, components }: CoreBroker,
  { hasJumped = false }: { hasJumped?: boolean } = {},
): string[] => {
  const { clock } = components
  const nowMs = clock.wallMs()
  const skewMs = clock.monotonicMs() - nowMs
  const lines: string[] = []
  const line = (what: string, value: unknown): void => {
    lines.push(`${what} ${JSON.stringify(value, inOrder)}`)
  }
  for (const topic of state.topics.values())
    if (topic.status !== 'dropped') line('topic', topicOf(topic.state))
  for (const group of state.groups.values()) {
    if (group.status === 'dropped') continue
    line('group', group.state)
    for (const { topic, cells } of group.subscriptions.values())
      for (const cell of cells) {
        if (cell === undefined) continue
        const { next, unacked, resets, resetEnd } = cell.deliveries.state(skewMs)
        // A group that looked and took nothing knows as much as one that never looked.
        const isFresh = next <= (topic.queues[cell.address.queueId]?.offsetMin ?? 0)
        if (!isFresh || unacked.length > 0)
          line('deliveries', { ...cell.address, next, resets, resetEnd })
        for (const { invisibleUntilMs, clientId, ...entry } of unacked) {
          const untilMs = invisibleUntilMs <= nowMs ? 0 : invisibleUntilMs
          const renewedBy = untilMs === 0 ? '' : clientId
          // Where the wall clock was set, what is written means another moment than what is known.
          const lease = hasJumped ? {} : { untilMs, renewedBy }
          line('unacked', { ...cell.address, ...entry, ...lease })
        }
      }
  }
  for (const [extent, bytes] of state.space.live) line('alive', { extent, bytes })
  line('gaps', state.space.gaps)
  return lines.sort()
}

/** Whether a queue may have message groups is a hint: true may outlive the last of them. */
const topicOf = ({ bounds, ...topic }: TopicState) => ({
  ...topic,
  bounds: bounds.map(({ offsetMin, offsetMax }) => [offsetMin, offsetMax]),
})

/** Lines that only one of two snapshots has. */
export const differences = (before: readonly string[], after: readonly string[]): string[] => [
  ...before.filter((line) => !after.includes(line)).map((line) => `before: ${line}`),
  ...after.filter((line) => !before.includes(line)).map((line) => `after: ${line}`),
]
