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

export interface UpkeepInput {
  /** Between rounds while nothing presses. */
  readonly restMs: number
  readonly backoff: Backoff
}

export interface UpkeepContext extends UpkeepInput, Failures {}

export type UpkeepEvent =
  /** Enough was admitted since the last checkpoint: do not rest. */
  { readonly type: 'upkeep.press' } | { readonly type: 'upkeep.stop' }

/**
 * The broker's housekeeping, one thing after the other, for ever: what is expired is trimmed,
 * what is dirty is checkpointed, ids and keys are indexed, and what is nearly dead is carried
 * forward and reclaimed. A step that fails backs off and is tried again; only closing ends the
 * loop.
 */
export const upkeepMachine = setup({
  types: {
    context: {} as UpkeepContext,
    events: {} as UpkeepEvent,
    input: {} as UpkeepInput,
  },
  actors: {
    watchDisk: unprovided<void>('watchDisk'),
    trimExpired: unprovided<void>('trimExpired'),
    writeCheckpoint: unprovided<void>('writeCheckpoint'),
    indexMessages: unprovided<void>('indexMessages'),
    reclaimLog: unprovided<void>('reclaimLog'),
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
  id: 'upkeep',
  context: ({ input }) => ({ ...input, ...noFailures }),
  initial: 'resting',
  on: { 'upkeep.stop': '.stopped' },
  states: {
    resting: {
      on: { 'upkeep.press': 'checkpointing' },
      after: { rest: 'watching' },
    },
    watching: {
      invoke: {
        src: 'watchDisk',
        onDone: 'trimming',
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    trimming: {
      invoke: {
        src: 'trimExpired',
        onDone: 'checkpointing',
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    checkpointing: {
      invoke: {
        src: 'writeCheckpoint',
        onDone: 'indexing',
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    indexing: {
      invoke: {
        src: 'indexMessages',
        onDone: 'reclaiming',
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    reclaiming: {
      invoke: {
        src: 'reclaimLog',
        onDone: { target: 'resting', actions: 'forgetFailures' },
        onError: { target: 'backingOff', actions: { type: 'rememberError', params: errorOf } },
      },
    },
    backingOff: { after: { backoff: 'checkpointing' } },
    stopped: { type: 'final' },
  },
})
