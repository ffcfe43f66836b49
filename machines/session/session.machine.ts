import { setup } from 'xstate'

export interface SessionInput {
  /** Names the session to the hands, which are the same for all. */
  readonly number: number
  /** With neither stream nor call for this long, a client is gone. */
  readonly graceMs: number
}

export type SessionEvent =
  | { readonly type: 'session.attached' }
  | { readonly type: 'session.detached' }
  | { readonly type: 'session.terminated' }

/** The life of a client: attached by a stream, kept by calls, lost in silence, or said goodbye. */
export const sessionMachine = setup({
  types: {
    context: {} as SessionInput,
    events: {} as SessionEvent,
    input: {} as SessionInput,
  },
  actions: { release: () => {} },
  guards: { wasSeen: () => false },
  delays: { grace: ({ context }) => context.graceMs },
}).createMachine({
  id: 'session',
  context: ({ input }) => input,
  initial: 'detached',
  on: { 'session.terminated': '.lost' },
  states: {
    attached: { on: { 'session.detached': 'detached' } },
    detached: {
      on: { 'session.attached': 'attached' },
      after: {
        grace: [{ guard: 'wasSeen', target: 'detached', reenter: true }, { target: 'lost' }],
      },
    },
    lost: { type: 'final', entry: 'release' },
  },
})
