import { assign, setup } from 'xstate'
import { isBrokerError } from '../../model/errors.ts'
import {
  type Backoff,
  backoffMs,
  errorOf,
  type Failures,
  failedAgain,
  noFailures,
} from '../backoff.ts'
import { unprovided } from '../unprovided.ts'
import type { Survey } from './offload.decider.ts'

/** Names the queue to the hands, which are the same for all queues. */
export interface OffloadRef {
  readonly topicId: number
  readonly queueId: number
}

export interface OffloadInput extends OffloadRef {
  readonly backoff: Backoff
  /** How often a queue that the budget holds up looks whether it still does. */
  readonly budgetLookMs: number
}

export interface OffloadContext extends OffloadInput, Failures {
  readonly holdMs: number
  /** Something changed since the look that is under way began. */
  readonly isNudged: boolean
}

/** Where a segment is on its way: a state each. */
const offloadSteps = [
  'waitingForPermit',
  'waitingForBuffer',
  'reading',
  'uploading',
  'adopting',
  'verifying',
  'recording',
  'committing',
] as const
export type OffloadStep = (typeof offloadSteps)[number]

export type OffloadEvent =
  | { readonly type: 'offload.look' }
  /** Somebody waits for it: back-offs and batches do not. */
  | { readonly type: 'offload.force' }
  /** Another queue of the topic takes along what this one has. */
  | { readonly type: 'offload.ride' }
  | { readonly type: 'offload.rideEnded' }
  | { readonly type: 'offload.step'; readonly step: OffloadStep }
  | { readonly type: 'offload.stop' }

export interface SegmentTask extends OffloadRef {
  readonly step: (step: OffloadStep) => void
}

const refOf = ({ context }: { context: OffloadContext }): OffloadRef => {
  const { topicId, queueId } = context
  return { topicId, queueId }
}

const codeIs = (code: 'TIER_CONFLICT' | 'TIER_MESSAGE_UNREADABLE') => ({
  type: 'failedWith' as const,
  params: ({ event }: { event: { error: unknown } }) => ({ code, error: event.error }),
})

const failure = { type: 'rememberError' as const, params: errorOf }

const whatFailed = [
  { guard: codeIs('TIER_CONFLICT'), target: '#offload.conflict', actions: failure },
  { guard: codeIs('TIER_MESSAGE_UNREADABLE'), target: '#offload.unreadable', actions: failure },
  { target: '#offload.backingOff', actions: failure },
] as const

const verdictIs = (verdict: Survey['verdict']) => ({
  type: 'isVerdict' as const,
  params: ({ event }: { event: { output: Survey } }) => ({ verdict, survey: event.output }),
})

const stepTo = (step: OffloadStep) => ({
  guard: {
    type: 'isStep' as const,
    params: ({ event }: { event: { step: OffloadStep } }) => ({ step, of: event.step }),
  },
  target: `.${step}` as const,
})

/**
 * One queue that has messages which the tier does not, until it has none. What RocketMQ hid in the
 * returns of one method is a state with a name here, and none is an exit: whatever goes wrong, the
 * queue looks again by itself, and no other queue notices.
 */
export const offloadMachine = setup({
  types: {
    context: {} as OffloadContext,
    events: {} as OffloadEvent,
    input: {} as OffloadInput,
    tags: {} as 'busy',
  },
  actors: {
    surveyQueue: unprovided<Survey, OffloadRef>('surveyQueue'),
    offloadSegment: unprovided<void, SegmentTask>('offloadSegment'),
  },
  actions: {
    rememberError: assign(({ context }, { error }: { error: unknown }) =>
      failedAgain(context, error),
    ),
    forgetFailures: assign(() => noFailures),
    rememberHold: assign((_, { survey }: { survey: Survey }) => ({
      holdMs: survey.verdict === 'holding' ? survey.holdMs : 0,
    })),
    nudge: assign({ isNudged: true }),
    beginLook: assign({ isNudged: false }),
    beginAnew: () => {},
  },
  guards: {
    isNudged: ({ context }) => context.isNudged,
    isVerdict: (_, { verdict, survey }: { verdict: Survey['verdict']; survey: Survey }) =>
      survey.verdict === verdict,
    isStep: (_, { step, of }: { step: OffloadStep; of: OffloadStep }) => step === of,
    failedWith: (
      _,
      { code, error }: { code: 'TIER_CONFLICT' | 'TIER_MESSAGE_UNREADABLE'; error: unknown },
    ) => isBrokerError(error, code),
  },
  delays: {
    hold: ({ context }) => context.holdMs,
    backoff: ({ context }) => backoffMs(context.backoff, context.failures),
    longest: ({ context }) => context.backoff.msMax,
    budgetLook: ({ context }) => context.budgetLookMs,
  },
}).createMachine({
  id: 'offload',
  context: ({ input }) => ({ ...input, ...noFailures, holdMs: 0, isNudged: false }),
  initial: 'looking',
  on: { 'offload.stop': '.stopped' },
  states: {
    looking: {
      entry: 'beginLook',
      on: { 'offload.look': { actions: 'nudge' }, 'offload.force': { actions: 'nudge' } },
      invoke: {
        src: 'surveyQueue',
        input: refOf,
        onDone: [
          { guard: verdictIs('following'), target: 'following' },
          { guard: verdictIs('behind'), target: 'behind' },
          {
            guard: verdictIs('holding'),
            target: 'holding',
            actions: { type: 'rememberHold', params: ({ event }) => ({ survey: event.output }) },
          },
          { guard: verdictIs('pausedByBudget'), target: 'pausedByBudget' },
          { target: 'offloading' },
        ],
        onError: whatFailed,
      },
    },
    following: { always: [{ guard: 'isNudged', target: 'looking' }, { target: 'followed' }] },
    holding: {
      entry: 'forgetFailures',
      always: { guard: 'isNudged', target: 'looking' },
      after: { hold: 'looking' },
      on: { 'offload.look': 'looking', 'offload.force': 'looking', 'offload.ride': 'riding' },
    },
    riding: { on: { 'offload.rideEnded': 'looking' } },
    behind: { entry: ['beginAnew', 'forgetFailures'], always: 'looking' },
    pausedByBudget: { after: { budgetLook: 'looking' }, on: { 'offload.force': 'looking' } },
    offloading: {
      tags: 'busy',
      initial: 'waitingForPermit',
      on: { 'offload.step': offloadSteps.map(stepTo) },
      invoke: {
        src: 'offloadSegment',
        input: ({ context, self }) => ({
          topicId: context.topicId,
          queueId: context.queueId,
          step: (step) => self.send({ type: 'offload.step', step }),
        }),
        onDone: { target: 'looking', actions: 'forgetFailures' },
        onError: whatFailed,
      },
      states: {
        waitingForPermit: {},
        waitingForBuffer: {},
        reading: {},
        uploading: {},
        adopting: {},
        verifying: {},
        recording: {},
        committing: {},
      },
    },
    unreadable: { after: { backoff: 'looking' }, on: { 'offload.force': 'looking' } },
    backingOff: { after: { backoff: 'looking' }, on: { 'offload.force': 'looking' } },
    conflict: { after: { longest: 'looking' }, on: { 'offload.force': 'looking' } },
    followed: { type: 'final' },
    stopped: { type: 'final' },
  },
})
