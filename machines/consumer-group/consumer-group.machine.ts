import { setup } from 'xstate'
import { unprovided } from '../unprovided.ts'

/** Names the group to the hands, which are the same for all groups. */
export interface GroupRef {
  readonly groupId: number
}

export interface GroupInput extends GroupRef {
  readonly status: 'serving' | 'ending'
}

export type GroupEvent = { readonly type: 'group.end' }

const refOf = ({ context: { groupId } }: { context: GroupInput }): GroupRef => ({ groupId })

/** The life of a consumer group: as a topic's, with deliveries instead of queues. */
export const groupMachine = setup({
  types: {
    context: {} as GroupInput,
    events: {} as GroupEvent,
    input: {} as GroupInput,
    tags: {} as 'serving' | 'ending',
  },
  actors: {
    answerRequests: unprovided<void, GroupRef>('answerRequests'),
    dropLeases: unprovided<void, GroupRef>('dropLeases'),
    sweepIndex: unprovided<void, GroupRef>('sweepIndex'),
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
          invoke: {
            src: 'answerRequests',
            input: refOf,
            onDone: 'droppingLeases',
            onError: 'waiting',
          },
        },
        droppingLeases: {
          invoke: { src: 'dropLeases', input: refOf, onDone: 'sweepingIndex', onError: 'waiting' },
        },
        sweepingIndex: {
          invoke: { src: 'sweepIndex', input: refOf, onDone: '#group.ended', onError: 'waiting' },
        },
        waiting: { after: { retry: 'refusingRequests' } },
      },
    },
    ended: { type: 'final' },
  },
})
