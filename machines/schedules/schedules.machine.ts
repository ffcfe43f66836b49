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

export interface SchedulesInput {
  readonly backoff: Backoff
}

export interface SchedulesContext extends SchedulesInput, Failures {}

export type SchedulesEvent =
  /** Some schedule may want its next run. */
  { readonly type: 'schedules.look' } | { readonly type: 'schedules.stop' }

/**
 * Plans the next run of every schedule whose last one is over. What cannot be planned now is
 * tried again with back-off, for ever; only closing ends the loop.
 */
export const schedulesMachine = setup({
  types: {
    context: {} as SchedulesContext,
    events: {} as SchedulesEvent,
    input: {} as SchedulesInput,
  },
  actors: { planRuns: unprovided<void>('planRuns') },
  actions: {
    rememberError: assign(({ context }, { error }: { error: unknown }) =>
      failedAgain(context, error),
    ),
    forgetFailures: assign({ failures: 0 }),
  },
  guards: { hasMore: () => false },
  delays: { backoff: ({ context }) => backoffMs(context.backoff, context.failures) },
}).createMachine({
  id: 'schedules',
  context: ({ input }) => ({ ...input, ...noFailures }),
  initial: 'resting',
  on: { 'schedules.stop': '.stopped' },
  states: {
    resting: { on: { 'schedules.look': 'planning' } },
    planning: {
      invoke: {
        src: 'planRuns',
        onDone: [
          { guard: 'hasMore', target: 'planning', reenter: true },
          { target: 'resting', actions: 'forgetFailures' },
        ],
        onError: {
          target: 'backingOff',
          actions: { type: 'rememberError', params: errorOf },
        },
      },
    },
    backingOff: { after: { backoff: 'planning' } },
    stopped: { type: 'final' },
  },
})
