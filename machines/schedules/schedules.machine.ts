import { assign, setup } from 'xstate'
import { type Backoff, backoffMs } from '../backoff.ts'
import { unprovided } from '../unprovided.ts'

export interface SchedulesInput {
  readonly backoff: Backoff
}

export interface SchedulesContext extends SchedulesInput {
  readonly failures: number
  readonly lastError: unknown
}

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
    rememberError: assign(({ context }, params: { error: unknown }) => ({
      lastError: params.error,
      failures: context.failures + 1,
    })),
    forgetFailures: assign({ failures: 0 }),
  },
  guards: { hasMore: () => false },
  delays: { backoff: ({ context }) => backoffMs(context.backoff, context.failures) },
}).createMachine({
  id: 'schedules',
  context: ({ input }) => ({ ...input, failures: 0, lastError: null }),
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
          actions: { type: 'rememberError', params: ({ event }) => ({ error: event.error }) },
        },
      },
    },
    backingOff: { after: { backoff: 'planning' } },
    stopped: { type: 'final' },
  },
})
