import { assign, setup } from 'xstate'
import {
  type Backoff,
  backoffMs,
  errorOf,
  type Failures,
  failedAgain,
  noFailures,
} from '../backoff.ts'
import { unprovided, unprovidedLoop } from '../unprovided.ts'

export interface TimerWheelInput {
  readonly backoff: Backoff
  /** Looks again after this while what is due cannot be written. */
  readonly heldMs: number
}

export interface TimerWheelContext extends TimerWheelInput, Failures {
  readonly jumps: number
}

export type TimerWheelEvent =
  | { readonly type: 'wheel.due' }
  /** The near window is half used up. */
  | { readonly type: 'wheel.refill' }
  /** Somebody set the wall clock. */
  | { readonly type: 'wheel.jumped'; readonly ms: number }
  /** What was fired did not reach the log; it is due again. */
  | { readonly type: 'wheel.failed'; readonly error: unknown }
  | { readonly type: 'wheel.stop' }

/** `held`: nothing may be written now. `empty`: what is due next has to be loaded first. */
export type FiringOutcome = 'fired' | 'held' | 'empty'

/**
 * What waits for a time of the wall clock, fired in due order and never early. A delivery that
 * fails is tried again with back-off, for ever; only closing ends the loop.
 */
export const timerWheelMachine = setup({
  types: {
    context: {} as TimerWheelContext,
    events: {} as TimerWheelEvent,
    input: {} as TimerWheelInput,
  },
  actors: {
    loadNear: unprovided<void>('loadNear'),
    waitForDue: unprovidedLoop('waitForDue'),
    fireDue: unprovided<FiringOutcome>('fireDue'),
  },
  actions: {
    noteJump: (_, _params: { ms: number }) => {},
    countJump: assign({ jumps: ({ context }) => context.jumps + 1 }),
    rememberError: assign(({ context }, { error }: { error: unknown }) =>
      failedAgain(context, error),
    ),
    forgetFailures: assign({ failures: 0 }),
  },
  guards: {
    isHeld: (_, outcome: FiringOutcome) => outcome === 'held',
    isEmpty: (_, outcome: FiringOutcome) => outcome === 'empty',
  },
  delays: {
    backoff: ({ context }) => backoffMs(context.backoff, context.failures),
    held: ({ context }) => context.heldMs,
  },
}).createMachine({
  id: 'timer-wheel',
  context: ({ input }) => ({ ...input, ...noFailures, jumps: 0 }),
  initial: 'loading',
  on: {
    'wheel.stop': '.stopped',
    'wheel.failed': { actions: { type: 'rememberError', params: errorOf } },
  },
  states: {
    loading: {
      invoke: {
        src: 'loadNear',
        onDone: 'ticking',
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    ticking: {
      initial: 'waiting',
      on: {
        'wheel.failed': {
          target: 'backingOff',
          actions: { type: 'rememberError', params: errorOf },
        },
      },
      states: {
        waiting: {
          invoke: { src: 'waitForDue' },
          on: {
            'wheel.due': 'firing',
            'wheel.refill': '#timer-wheel.loading',
            'wheel.jumped': {
              target: '#timer-wheel.clockJumped',
              actions: ['countJump', { type: 'noteJump', params: ({ event }) => event }],
            },
          },
        },
        firing: {
          invoke: {
            src: 'fireDue',
            onDone: [
              {
                guard: { type: 'isHeld', params: ({ event }) => event.output },
                target: '#timer-wheel.held',
              },
              {
                guard: { type: 'isEmpty', params: ({ event }) => event.output },
                target: '#timer-wheel.loading',
              },
              { target: 'waiting', actions: 'forgetFailures' },
            ],
            onError: {
              target: '#timer-wheel.backingOff',
              actions: { type: 'rememberError', params: errorOf },
            },
          },
        },
      },
    },
    held: { after: { held: '#timer-wheel.ticking.firing' } },
    clockJumped: { always: 'loading' },
    backingOff: { after: { backoff: 'loading' } },
    stopped: { type: 'final' },
  },
})
