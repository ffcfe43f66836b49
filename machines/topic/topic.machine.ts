import { setup } from 'xstate'
import type { BrokerError } from '../../model/errors.ts'
import { unprovided } from '../unprovided.ts'

/** Names the topic to the hands, which are the same for all topics. */
export interface TopicRef {
  readonly topicId: number
}

export interface TopicInput extends TopicRef {
  /** What the facts say: a topic whose ending was synced goes on ending after a restart. */
  readonly status: 'serving' | 'ending' | 'dropped'
}

export type TopicEvent =
  | { readonly type: 'topic.end' }
  | { readonly type: 'topic.throttle'; readonly refusal: () => BrokerError }
  | { readonly type: 'topic.release' }

const refOf = ({ context: { topicId } }: { context: TopicInput }): TopicRef => ({ topicId })

/**
 * The life of a topic. The chart opens and closes the gate that every request passes; ending
 * runs its steps in a stated order, each idempotent, and begins anew after a restart. A step
 * that fails is tried again: only `ended` ends it. Metrics need no step: they are functions of
 * the state that is dropped. When what is here has gone the topic has ended for everybody; what
 * the tier has of it goes behind that, however long the tier is out of reach.
 */
export const topicMachine = setup({
  types: {
    context: {} as TopicInput,
    events: {} as TopicEvent,
    input: {} as TopicInput,
    tags: {} as 'serving' | 'ending',
  },
  actors: {
    answerRequests: unprovided<void, TopicRef>('answerRequests'),
    cancelTimers: unprovided<void, TopicRef>('cancelTimers'),
    dropLeases: unprovided<void, TopicRef>('dropLeases'),
    dropQueues: unprovided<void, TopicRef>('dropQueues'),
    sweepIndex: unprovided<void, TopicRef>('sweepIndex'),
    dropTier: unprovided<void, TopicRef>('dropTier'),
  },
  actions: {
    openGate: () => {},
    throttleGate: (_, _params: { refusal: () => BrokerError }) => {},
    closeGate: () => {},
    announceEnded: () => {},
  },
  guards: {
    isEnding: ({ context }) => context.status === 'ending',
    isDropped: ({ context }) => context.status === 'dropped',
  },
  delays: { retry: 1_000, tierRetry: 30_000 },
}).createMachine({
  id: 'topic',
  context: ({ input }) => input,
  initial: 'recovering',
  states: {
    recovering: {
      always: [
        { guard: 'isEnding', target: 'ending' },
        { guard: 'isDropped', target: '#topic.ending.droppingTier' },
        { target: 'serving' },
      ],
    },
    serving: {
      tags: 'serving',
      initial: 'open',
      on: { 'topic.end': 'ending' },
      states: {
        open: {
          entry: 'openGate',
          on: {
            'topic.throttle': {
              target: 'throttled',
              actions: {
                type: 'throttleGate',
                params: ({ event }) => ({ refusal: event.refusal }),
              },
            },
          },
        },
        throttled: { on: { 'topic.release': 'open' } },
      },
    },
    ending: {
      tags: 'ending',
      entry: 'closeGate',
      initial: 'refusingRequests',
      states: {
        refusingRequests: {
          invoke: {
            src: 'answerRequests',
            input: refOf,
            onDone: 'cancellingTimers',
            onError: 'waiting',
          },
        },
        cancellingTimers: {
          invoke: {
            src: 'cancelTimers',
            input: refOf,
            onDone: 'droppingLeases',
            onError: 'waiting',
          },
        },
        droppingLeases: {
          invoke: { src: 'dropLeases', input: refOf, onDone: 'droppingQueues', onError: 'waiting' },
        },
        droppingQueues: {
          invoke: { src: 'dropQueues', input: refOf, onDone: 'sweepingIndex', onError: 'waiting' },
        },
        sweepingIndex: {
          invoke: {
            src: 'sweepIndex',
            input: refOf,
            onDone: { target: 'droppingTier', actions: 'announceEnded' },
            onError: 'waiting',
          },
        },
        waiting: { after: { retry: 'refusingRequests' } },
        droppingTier: {
          invoke: {
            src: 'dropTier',
            input: refOf,
            onDone: '#topic.ended',
            onError: 'waitingForTier',
          },
        },
        waitingForTier: { after: { tierRetry: 'droppingTier' } },
      },
    },
    ended: { type: 'final' },
  },
})
