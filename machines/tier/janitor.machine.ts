import { assign, setup } from 'xstate'
import {
  type Backoff,
  backoffMs,
  errorOf,
  type Failures,
  failedAgain,
  noFailures,
} from '../backoff.ts'
import { unprovided } from '../unprovided.ts'

export interface JanitorInput {
  readonly everyMs: number
  readonly backoff: Backoff
}

export interface JanitorContext extends JanitorInput, Failures {}

export type JanitorEvent = { readonly type: 'janitor.stop' }

/** Lists the store now and then, and removes what nobody claims any more. */
export const janitorMachine = setup({
  types: { context: {} as JanitorContext, events: {} as JanitorEvent, input: {} as JanitorInput },
  actors: { sweepStore: unprovided<void>('sweepStore') },
  actions: {
    rememberError: assign(({ context }, { error }: { error: unknown }) =>
      failedAgain(context, error),
    ),
    forgetFailures: assign({ failures: 0 }),
  },
  delays: {
    every: ({ context }) => context.everyMs,
    backoff: ({ context }) => backoffMs(context.backoff, context.failures),
  },
}).createMachine({
  id: 'tierJanitor',
  context: ({ input }) => ({ ...input, ...noFailures }),
  initial: 'resting',
  on: { 'janitor.stop': '.stopped' },
  states: {
    resting: { after: { every: 'sweeping' } },
    sweeping: {
      invoke: {
        src: 'sweepStore',
        onDone: { target: 'resting', actions: 'forgetFailures' },
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    backingOff: { after: { backoff: 'sweeping' } },
    stopped: { type: 'final' },
  },
})
