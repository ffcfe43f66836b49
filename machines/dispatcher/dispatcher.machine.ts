import { assign, setup } from 'xstate'
import {
  type Backoff,
  backoffMs,
  errorOf,
  type Failures,
  failedAgain,
  noFailures,
} from '../backoff.ts'
import { unprovidedLoop } from '../unprovided.ts'

export interface DispatcherInput {
  readonly backoff: Backoff
}

export interface DispatcherContext extends DispatcherInput, Failures {}

export type DispatcherEvent =
  | { readonly type: 'dispatch.failed'; readonly error: unknown }
  | { readonly type: 'dispatch.caughtUp' }

/**
 * What follows the CommitLog: waking who waits for what became visible. A throw on the way is
 * a state with a back-off, never an exit; what came meanwhile is caught up on.
 */
export const dispatcherMachine = setup({
  types: {
    context: {} as DispatcherContext,
    events: {} as DispatcherEvent,
    input: {} as DispatcherInput,
  },
  actors: { followCommits: unprovidedLoop('followCommits') },
  actions: {
    rememberError: assign(({ context }, { error }: { error: unknown }) =>
      failedAgain(context, error),
    ),
    forgetFailures: assign({ failures: 0 }),
  },
  delays: { backoff: ({ context }) => backoffMs(context.backoff, context.failures) },
}).createMachine({
  id: 'dispatcher',
  context: ({ input }) => ({ ...input, ...noFailures }),
  initial: 'following',
  states: {
    following: {
      invoke: { src: 'followCommits' },
      on: {
        'dispatch.failed': {
          target: 'backingOff',
          actions: { type: 'rememberError', params: errorOf },
        },
        'dispatch.caughtUp': { actions: 'forgetFailures' },
      },
    },
    backingOff: { after: { backoff: 'following' } },
  },
})
