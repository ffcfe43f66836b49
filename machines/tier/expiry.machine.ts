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

export interface ExpiryInput {
  readonly restMs: number
  readonly backoff: Backoff
}

export interface ExpiryContext extends ExpiryInput, Failures {}

export type ExpiryEvent = { readonly type: 'expiry.stop' }

/**
 * What is older than its topic's retention leaves the tier: first it is nobody's, by a fact, then
 * its objects go. A store that does not remove is asked again after a back-off, and what has
 * expired meanwhile has expired all the same.
 */
export const expiryMachine = setup({
  types: { context: {} as ExpiryContext, events: {} as ExpiryEvent, input: {} as ExpiryInput },
  actors: {
    expireSections: unprovided<void>('expireSections'),
    removeObjects: unprovided<void>('removeObjects'),
  },
  actions: {
    rememberError: assign(({ context }, { error }: { error: unknown }) =>
      failedAgain(context, error),
    ),
    forgetFailures: assign({ failures: 0 }),
  },
  delays: {
    rest: ({ context }) => context.restMs,
    backoff: ({ context }) => backoffMs(context.backoff, context.failures),
  },
}).createMachine({
  id: 'tierExpiry',
  context: ({ input }) => ({ ...input, ...noFailures }),
  initial: 'resting',
  on: { 'expiry.stop': '.stopped' },
  states: {
    resting: { after: { rest: 'expiring' } },
    expiring: {
      invoke: {
        src: 'expireSections',
        onDone: 'removing',
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    removing: {
      invoke: {
        src: 'removeObjects',
        onDone: { target: 'resting', actions: 'forgetFailures' },
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    backingOff: { after: { backoff: 'expiring' } },
    stopped: { type: 'final' },
  },
})
