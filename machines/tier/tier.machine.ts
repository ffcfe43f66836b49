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

export interface TierInput {
  readonly backoff: Backoff
}

export interface TierContext extends TierInput, Failures {}

export type TierEvent =
  | { readonly type: 'tier.failed'; readonly error: unknown }
  /** All that is to be looked at was looked at. */
  | { readonly type: 'tier.looked' }
  | { readonly type: 'tier.stop' }

/**
 * What wakes queues that have something for the tier. One that cannot be looked at holds up no
 * other: the rest is looked at first, then the loop says what failed, and looks at all again.
 */
export const tierMachine = setup({
  types: { context: {} as TierContext, events: {} as TierEvent, input: {} as TierInput },
  actors: { followNews: unprovidedLoop('followNews') },
  actions: {
    rememberError: assign(({ context }, { error }: { error: unknown }) =>
      failedAgain(context, error),
    ),
    forgetFailures: assign({ failures: 0 }),
  },
  delays: { backoff: ({ context }) => backoffMs(context.backoff, context.failures) },
}).createMachine({
  id: 'tier',
  context: ({ input }) => ({ ...input, ...noFailures }),
  initial: 'following',
  on: { 'tier.stop': '.stopped' },
  states: {
    following: {
      invoke: { src: 'followNews' },
      on: {
        'tier.failed': {
          target: 'backingOff',
          actions: { type: 'rememberError', params: errorOf },
        },
        'tier.looked': { actions: 'forgetFailures' },
      },
    },
    backingOff: { after: { backoff: 'following' } },
    stopped: { type: 'final' },
  },
})
