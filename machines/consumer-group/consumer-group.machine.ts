import { setup } from 'xstate'
import { unprovided } from '../unprovided.ts'

export interface GroupInput {
  readonly status: 'serving' | 'ending'
}

export type GroupEvent = { readonly type: 'group.end' }

/** The life of a consumer group: as a topic's, with deliveries instead of queues. */
export const groupMachine = setup({
  types: {
    context: {} as GroupInput,
    events: {} as GroupEvent,
    input: {} as GroupInput,
    tags: {} as 'serving' | 'ending',
  },
  actors: {
    answerRequests: unprovided<void>('answerRequests'),
    dropLeases: unprovided<void>('dropLeases'),
    sweepIndex: unprovided<void>('sweepIndex'),
  },
  actions: { openGate: () => {}, closeGate: () => {} },
  guards: { isEnding: ({ context }) => context.status === 'ending' },
  delays: { retry: 1_000 },
}).createMachine({
  id: 'group',
  context: ({ input }) => input,
  initial: 'recovering',
  states: {
    recovering: { always: [{ guard: 'isEnding', target: 'ending' }, { target: 'serving' }] },
    serving: { tags: 'serving', entry: 'openGate', on: { 'group.end': 'ending' } },
    ending: {
      tags: 'ending',
      entry: 'closeGate',
      initial: 'refusingRequests',
      states: {
        refusingRequests: {
          invoke: { src: 'answerRequests', onDone: 'droppingLeases', onError: 'waiting' },
        },
        droppingLeases: {
          invoke: { src: 'dropLeases', onDone: 'sweepingIndex', onError: 'waiting' },
        },
        sweepingIndex: {
          invoke: { src: 'sweepIndex', onDone: '#group.ended', onError: 'waiting' },
        },
        waiting: { after: { retry: 'refusingRequests' } },
      },
    },
    ended: { type: 'final' },
  },
})
