import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type {
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyStateNode,
  EventObject,
  StateValue,
} from 'xstate'
import { getAdjacencyMap, getStateNodes } from 'xstate/graph'
import { expiryMachine } from '../../../machines/tier/expiry.machine.ts'
import { janitorMachine } from '../../../machines/tier/janitor.machine.ts'
import type { Survey } from '../../../machines/tier/offload.decider.ts'
import { offloadMachine } from '../../../machines/tier/offload.machine.ts'
import { tierMachine } from '../../../machines/tier/tier.machine.ts'
import { BrokerError } from '../../../model/errors.ts'

type Given = Readonly<Record<string, unknown>>

interface Chart {
  readonly name: string
  readonly machine: AnyStateMachine
  readonly input: object
  /** Where it always comes back to. */
  readonly home: string
  /** What ends it from outside. */
  readonly stop: string
  /** States that somebody else ends. */
  readonly isHeld?: readonly string[]
  /** What events of a type carry; all others carry nothing. */
  readonly payloads?: Readonly<Record<string, readonly Given[]>>
}

const surveys: readonly Survey[] = [
  ...(['following', 'behind', 'pausedByBudget', 'due'] as const).map((verdict) => ({ verdict })),
  { verdict: 'holding', holdMs: 5 },
]
const errors: readonly Given[] = [
  new Error('any'),
  new BrokerError('TIER_CONFLICT', { key: 'k', store: 's', reason: 'r' } as never),
  new BrokerError('TIER_MESSAGE_UNREADABLE', { topic: 't', queueId: 0, offset: 1 } as never),
  'no error at all',
  undefined,
].map((error) => ({ error }))

const offloadSteps = Object.keys(offloadMachine.states['offloading']?.states ?? {})
const backoff = { msBase: 1, msMax: 8 }
const charts: readonly Chart[] = [
  {
    ...{ name: 'offload', machine: offloadMachine, home: 'looking', stop: 'offload.stop' },
    input: { topicId: 1, queueId: 0, backoff, budgetLookMs: 10 },
    isHeld: ['riding'],
    payloads: {
      'offload.step': offloadSteps.map((step) => ({
        step,
      })),
      'xstate.done.actor.0.offload.looking': surveys.map((output) => ({ output })),
    },
  },
  {
    ...{ name: 'expiry', machine: expiryMachine, home: 'resting', stop: 'expiry.stop' },
    input: { restMs: 10, backoff },
  },
  {
    ...{ name: 'janitor', machine: janitorMachine, home: 'resting', stop: 'janitor.stop' },
    input: { everyMs: 10, backoff },
  },
  {
    ...{ name: 'tier', machine: tierMachine, home: 'following', stop: 'tier.stop' },
    input: { backoff },
    payloads: { 'tier.failed': errors },
  },
]

const eventsOf = ({ machine, payloads = {} }: Chart): EventObject[] =>
  machine.events.flatMap((type: string) => {
    const carried = payloads[type] ?? (type.startsWith('xstate.error.') ? errors : [{}])
    return carried.map((given) => ({ ...given, type }))
  })

/** By its timers and by what its effects come to: nobody else has to do anything. */
const isOwn = (type: string): boolean => type.startsWith('xstate.')

const valueOf = (snapshot: AnyMachineSnapshot): string => JSON.stringify(snapshot.value)

const valueAt = ([first = '', ...rest]: readonly string[]): StateValue =>
  rest.length === 0 ? first : { [first]: valueAt(rest) }

interface Place {
  readonly state: AnyMachineSnapshot
  readonly transitions: Readonly<Record<string, { event: EventObject; state: AnyMachineSnapshot }>>
}

interface Step {
  readonly from: string
  readonly to: string
  readonly type: string
}

/** Every event sent to everything that can be reached; one that throws fails the spec. */
const walk = (chart: Chart) => {
  const map = getAdjacencyMap(chart.machine, {
    input: chart.input,
    events: eventsOf(chart),
    serializeState: (state) => {
      const { value, context } = state as AnyMachineSnapshot
      const { isNudged, failures } = context as { isNudged?: boolean; failures: number }
      return JSON.stringify([value, isNudged, failures > 0])
    },
    stopWhen: (state) => (state as AnyMachineSnapshot).status !== 'active',
  })
  const places: readonly Place[] = Object.values(map)
  const snapshots = places.map(({ state }) => state)
  const steps = places.flatMap(({ state, transitions }): Step[] =>
    Object.values(transitions).map(({ event, state: next }) => ({
      from: valueOf(state),
      to: valueOf(next),
      type: event.type,
    })),
  )
  return { snapshots, steps }
}

/** Values from which `home` can be reached by these steps. */
const returning = (home: string, steps: readonly Step[]): Set<string> => {
  const found = new Set([home])
  for (let size = 0; size < found.size; ) {
    size = found.size
    for (const { from, to } of steps) if (found.has(to)) found.add(from)
  }
  return found
}

const Charts = suite('charts of the tier')

for (const chart of charts) {
  const { name, machine, home, stop, isHeld = [] } = chart

  Charts(`${name}: every state is reached, and no event throws in any`, () => {
    const { snapshots } = walk(chart)
    for (const { status, error } of snapshots) assert.not.equal(status, 'error', String(error))
    const isReached = ({ path }: AnyStateNode): boolean =>
      path.length === 0 || snapshots.some((each) => each.matches(valueAt(path)))
    const isPassedThrough = ({ always = [] }: AnyStateNode): boolean =>
      always.some(({ guard }) => guard === undefined)
    const missed = getStateNodes(machine).filter(
      (node) => !isReached(node) && !isPassedThrough(node),
    )
    assert.equal(
      missed.map(({ id }) => id),
      [],
    )
  })

  Charts(`${name}: whatever happens it goes on by itself, until it is done or stopped`, () => {
    const { snapshots, steps } = walk(chart)
    const own = steps.filter(({ type }) => isOwn(type))
    const homeward = returning(JSON.stringify(home), own)
    for (const snapshot of snapshots) {
      const { status, value } = snapshot
      if (status !== 'active' || isHeld.includes(String(value))) continue
      assert.ok(homeward.has(valueOf(snapshot)), `${valueOf(snapshot)} is a dead end`)
    }
    for (const held of isHeld) {
      const others = steps.filter(({ type }) => type !== stop)
      assert.ok(returning(JSON.stringify(home), others).has(JSON.stringify(held)), held)
    }
  })

  Charts(`${name}: stopping ends it in every state`, () => {
    const { steps } = walk(chart)
    const stopping = steps.filter(({ type }) => type === stop)
    assert.ok(stopping.length > 0)
    for (const { from, to } of stopping) assert.is(to, '"stopped"', from)
  })
}

Charts.run()
