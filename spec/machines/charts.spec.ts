import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createActor, fromCallback, fromPromise, SimulatedClock } from 'xstate'
import { commitLogMachine } from '../../machines/commit-log/commit-log.machine.ts'
import {
  groupMachine,
  type GroupRef,
} from '../../machines/consumer-group/consumer-group.machine.ts'
import { dispatcherMachine } from '../../machines/dispatcher/dispatcher.machine.ts'
import { sessionMachine } from '../../machines/session/session.machine.ts'
import {
  type FiringOutcome,
  timerWheelMachine,
} from '../../machines/timer-wheel/timer-wheel.machine.ts'
import { topicMachine, type TopicRef } from '../../machines/topic/topic.machine.ts'
import { upkeepMachine } from '../../machines/upkeep/upkeep.machine.ts'
import { BrokerError } from '../../model/errors.ts'

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

/** Effects that are scripted: each call takes the next outcome, and the last one for ever. */
const scripted = (steps: string[], script: Readonly<Record<string, ('ok' | 'fails')[]>>) => {
  const calls = new Map<string, number>()
  return <Input = void>(name: string) =>
    fromPromise<void, Input>(async () => {
      steps.push(name)
      const count = calls.get(name) ?? 0
      calls.set(name, count + 1)
      const outcomes = script[name] ?? ['ok']
      if (outcomes[Math.min(count, outcomes.length - 1)] === 'fails')
        throw new Error(`${name} ${count}`)
    })
}

const Charts = suite('charts')

Charts(
  'a topic ends by its steps in order, each until it succeeds, behind a closed gate',
  async () => {
    const steps: string[] = []
    const clock = new SimulatedClock()
    const effect = scripted(steps, {
      dropLeases: ['fails', 'ok'],
      dropQueues: ['fails', 'ok'],
      dropTier: ['fails', 'ok'],
    })
    const machine = topicMachine.provide({
      actions: {
        closeGate: () => steps.push('close'),
        openGate: () => steps.push('open'),
        announceEnded: () => steps.push('ended'),
      },
      actors: {
        answerRequests: effect<TopicRef>('answerRequests'),
        cancelTimers: effect<TopicRef>('cancelTimers'),
        dropLeases: effect<TopicRef>('dropLeases'),
        dropQueues: effect<TopicRef>('dropQueues'),
        sweepIndex: effect<TopicRef>('sweepIndex'),
        dropTier: effect<TopicRef>('dropTier'),
      },
    })
    const actor = createActor(machine, { clock, input: { topicId: 1, status: 'serving' } }).start()
    actor.send({ type: 'topic.end' })
    assert.equal(steps.slice(0, 2), ['open', 'close'])
    for (let round = 0; round < 3; round++) {
      await settle()
      clock.increment(1_000)
    }
    assert.equal(actor.getSnapshot().value, { ending: 'waitingForTier' }, 'ended for everybody')
    clock.increment(30_000)
    await settle()
    assert.is(actor.getSnapshot().status, 'done')
    const begun = 'answerRequests cancelTimers dropLeases'
    const here = `${begun} ${begun} dropQueues ${begun} dropQueues sweepIndex`
    const expected = `${here} ended dropTier dropTier`
    assert.is(steps.slice(2).join(' '), expected)
  },
)

Charts('a topic whose end is on disk goes on ending after a restart, and never opens', async () => {
  const steps: string[] = []
  const effect = scripted(steps, {})
  const machine = topicMachine.provide({
    actions: { openGate: () => steps.push('open') },
    actors: {
      answerRequests: effect<TopicRef>('answerRequests'),
      cancelTimers: effect<TopicRef>('cancelTimers'),
      dropLeases: effect<TopicRef>('dropLeases'),
      dropQueues: effect<TopicRef>('dropQueues'),
      sweepIndex: effect<TopicRef>('sweepIndex'),
      dropTier: effect<TopicRef>('dropTier'),
    },
  })
  const actor = createActor(machine, { input: { topicId: 1, status: 'ending' } }).start()
  await settle()
  assert.is(actor.getSnapshot().status, 'done')
  assert.not(steps.includes('open'))
})

Charts('a topic throttles and takes sends again', () => {
  const gate: string[] = []
  const machine = topicMachine.provide({
    actions: { openGate: () => gate.push('open'), throttleGate: () => gate.push('throttle') },
  })
  const actor = createActor(machine, { input: { topicId: 1, status: 'serving' } }).start()
  const refusal = () => new BrokerError('THROTTLED', { reason: 'spec' })
  actor.send({ type: 'topic.throttle', refusal })
  actor.send({ type: 'topic.release' })
  assert.equal(gate, ['open', 'throttle', 'open'])
})

Charts('a group ends by its steps in order', async () => {
  const steps: string[] = []
  const effect = scripted(steps, { sweepIndex: ['fails', 'ok'] })
  const clock = new SimulatedClock()
  const machine = groupMachine.provide({
    actions: { closeGate: () => steps.push('close') },
    actors: {
      answerRequests: effect<GroupRef>('answerRequests'),
      dropLeases: effect<GroupRef>('dropLeases'),
      sweepIndex: effect<GroupRef>('sweepIndex'),
    },
  })
  const actor = createActor(machine, { clock, input: { groupId: 1, status: 'serving' } }).start()
  actor.send({ type: 'group.end' })
  await settle()
  clock.increment(1_000)
  await settle()
  const once = ['answerRequests', 'dropLeases', 'sweepIndex']
  assert.equal(steps, ['close', ...once, ...once])
  assert.is(actor.getSnapshot().status, 'done')
})

Charts(
  'the commit log refuses after a failed write, reopens for ever, and writes again',
  async () => {
    const steps: string[] = []
    const clock = new SimulatedClock()
    const effect = scripted(steps, { reopenStore: ['fails', 'fails', 'ok'] })
    let failWrite = (_error: unknown): void => {}
    const machine = commitLogMachine.provide({
      actions: { admit: () => steps.push('admit'), refuse: () => steps.push('refuse') },
      actors: {
        openStore: effect('openStore'),
        recoverState: effect('recoverState'),
        closeHandle: effect('closeHandle'),
        reopenStore: effect('reopenStore'),
        drain: effect('drain'),
        commitChunks: fromCallback(({ sendBack }) => {
          failWrite = (error) => sendBack({ type: 'commit.failed', error })
          return () => steps.push('loop stopped')
        }),
      },
    })
    const input = { backoff: { msBase: 10, msMax: 40 } }
    const actor = createActor(machine, { clock, input }).start()
    await settle()
    assert.ok(actor.getSnapshot().hasTag('writable'))
    failWrite(new Error('EIO'))
    assert.ok(actor.getSnapshot().hasTag('refusing'))
    for (const ms of [10, 20, 40]) {
      await settle()
      clock.increment(ms)
    }
    await settle()
    assert.ok(actor.getSnapshot().hasTag('writable'))
    const reopening = ['closeHandle', 'reopenStore']
    assert.equal(steps, [
      ...['openStore', 'recoverState', 'admit', 'refuse', 'loop stopped'],
      ...[...reopening, ...reopening, ...reopening, 'admit'],
    ])
    actor.send({ type: 'log.close' })
    await settle()
    assert.is(actor.getSnapshot().value, 'closed')
    assert.is(steps.at(-1), 'drain')
  },
)

Charts('a commit log that cannot be opened fails aloud, with the reason', async () => {
  const effect = scripted([], { recoverState: ['fails'] })
  const machine = commitLogMachine.provide({
    actors: { openStore: effect('openStore'), recoverState: effect('recoverState') },
  })
  const actor = createActor(machine, { input: { backoff: { msBase: 1, msMax: 1 } } }).start()
  await settle()
  assert.is(actor.getSnapshot().value, 'failed')
  assert.match(String(actor.getSnapshot().context.lastError), 'recoverState')
})

Charts('the dispatcher backs off after a throw and follows again', async () => {
  const clock = new SimulatedClock()
  let started = 0
  const machine = dispatcherMachine.provide({
    actors: {
      followCommits: fromCallback(({ sendBack }) => {
        if (++started < 3) sendBack({ type: 'dispatch.failed', error: new Error('poison') })
        else sendBack({ type: 'dispatch.caughtUp' })
      }),
    },
  })
  const input = { backoff: { msBase: 10, msMax: 100 } }
  const actor = createActor(machine, { clock, input }).start()
  assert.is(actor.getSnapshot().value, 'backingOff')
  clock.increment(10)
  assert.is(actor.getSnapshot().value, 'backingOff')
  clock.increment(20)
  assert.is(actor.getSnapshot().value, 'following')
  assert.is(actor.getSnapshot().context.failures, 0)
})

Charts('upkeep goes through its steps for ever, and a failing one never ends it', async () => {
  const steps: string[] = []
  const clock = new SimulatedClock()
  const effect = scripted(steps, { trimExpired: ['fails', 'ok'], writeCheckpoint: ['ok'] })
  const machine = upkeepMachine.provide({
    actors: {
      watchDisk: effect('watchDisk'),
      trimExpired: effect('trimExpired'),
      writeCheckpoint: effect('writeCheckpoint'),
      indexMessages: effect('indexMessages'),
      reclaimLog: effect('reclaimLog'),
    },
  })
  const input = { restMs: 100, backoff: { msBase: 10, msMax: 10 } }
  const actor = createActor(machine, { clock, input }).start()
  for (let round = 0; round < 4; round++) {
    clock.increment(100)
    await settle()
  }
  assert.is(
    steps.slice(0, 7).join(' '),
    'watchDisk trimExpired writeCheckpoint indexMessages reclaimLog watchDisk trimExpired',
  )
  assert.is(actor.getSnapshot().status, 'active')
  actor.send({ type: 'upkeep.press' })
  await settle()
  assert.is(steps.at(-3), 'writeCheckpoint')
})

Charts('a session is lost in silence, kept by calls, and ended by a goodbye', () => {
  const clock = new SimulatedClock()
  let seen = true
  let released = 0
  const machine = sessionMachine.provide({
    guards: { wasSeen: () => seen },
    actions: { release: () => released++ },
  })
  const open = () => createActor(machine, { clock, input: { number: 1, graceMs: 30 } }).start()
  const silent = open()
  clock.increment(30)
  assert.is(silent.getSnapshot().value, 'detached')
  silent.send({ type: 'session.attached' })
  seen = false
  clock.increment(300)
  assert.is(silent.getSnapshot().value, 'attached')
  silent.send({ type: 'session.detached' })
  clock.increment(30)
  assert.is(silent.getSnapshot().value, 'lost')
  const polite = open()
  polite.send({ type: 'session.terminated' })
  assert.is(polite.getSnapshot().value, 'lost')
  assert.is(released, 2)
})

Charts(
  'a timer wheel loads, waits, fires, holds and backs off, and only stopping ends it',
  async () => {
    const steps: string[] = []
    const clock = new SimulatedClock()
    const outcomes: (FiringOutcome | 'fails')[] = ['fired', 'held', 'empty', 'fails', 'fired']
    const machine = timerWheelMachine.provide({
      actions: { noteJump: (_, { ms }) => steps.push(`jumped ${ms}`) },
      actors: {
        loadNear: fromPromise<void, void>(async () => {
          steps.push('load')
        }),
        waitForDue: fromCallback(() => void steps.push('wait')),
        fireDue: fromPromise(async () => {
          const outcome = outcomes.shift() ?? 'fired'
          steps.push(outcome)
          if (outcome === 'fails') throw new Error('no')
          return outcome
        }),
      },
    })
    const input = { backoff: { msBase: 50, msMax: 5_000 }, heldMs: 20 }
    const actor = createActor(machine, { clock, input }).start()
    const state = () => JSON.stringify(actor.getSnapshot().value)
    await settle()
    assert.is(state(), '{"ticking":"waiting"}')
    actor.send({ type: 'wheel.due' })
    await settle()
    assert.is(state(), '{"ticking":"waiting"}')
    actor.send({ type: 'wheel.jumped', ms: 700 })
    await settle()
    actor.send({ type: 'wheel.due' })
    await settle()
    assert.is(state(), '"held"')
    clock.increment(20)
    await settle()
    assert.is(state(), '{"ticking":"waiting"}', 'empty: more was loaded')
    actor.send({ type: 'wheel.due' })
    await settle()
    assert.is(state(), '"backingOff"')
    assert.is(actor.getSnapshot().context.failures, 1)
    clock.increment(50)
    await settle()
    actor.send({ type: 'wheel.failed', error: new Error('gone') })
    assert.is(state(), '"backingOff"', 'what was fired is gone')
    clock.increment(100)
    await settle()
    const expected =
      'load wait fired wait jumped 700 load wait held empty load wait fails load wait'
    assert.is(steps.join(' '), `${expected} load wait`)
    actor.send({ type: 'wheel.stop' })
    assert.is(actor.getSnapshot().status, 'done')
  },
)

Charts.run()
