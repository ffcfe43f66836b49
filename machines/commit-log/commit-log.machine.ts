import { assign, setup } from 'xstate'
import { type Backoff, backoffMs, errorOf } from '../backoff.ts'
import { unprovided, unprovidedLoop } from '../unprovided.ts'

export interface CommitLogInput {
  readonly backoff: Backoff
}

export interface CommitLogContext extends CommitLogInput {
  readonly failures: number
  readonly recoveries: number
  readonly lastError: unknown
}

export type CommitLogEvent =
  | { readonly type: 'commit.started' }
  | { readonly type: 'commit.synced' }
  | { readonly type: 'commit.failed'; readonly error: unknown }
  | { readonly type: 'log.close' }

/**
 * The life of the CommitLog.
 *
 * After any failed write the handle is dead (LevelDB acknowledges writes behind a torn record
 * and loses them at the next open): `refusing` closes it, reopens with back-off for ever,
 * settles what was under way by what the tail shows, and only then writes again.
 */
export const commitLogMachine = setup({
  types: {
    context: {} as CommitLogContext,
    events: {} as CommitLogEvent,
    input: {} as CommitLogInput,
    tags: {} as 'writable' | 'refusing' | 'ended',
  },
  actors: {
    openStore: unprovided<void>('openStore'),
    recoverState: unprovided<void>('recoverState'),
    commitChunks: unprovidedLoop('commitChunks'),
    closeHandle: unprovided<void>('closeHandle'),
    reopenStore: unprovided<void>('reopenStore'),
    drain: unprovided<void>('drain'),
  },
  actions: {
    admit: () => {},
    refuse: () => {},
    rememberError: assign((_, params: { error: unknown }) => ({ lastError: params.error })),
    countFailure: assign(({ context }) => ({ failures: context.failures + 1 })),
    forgetFailures: assign(({ context }) => ({
      failures: 0,
      recoveries: context.recoveries + 1,
    })),
  },
  delays: {
    backoff: ({ context }) => backoffMs(context.backoff, context.failures),
  },
}).createMachine({
  id: 'commitLog',
  context: ({ input }) => ({ ...input, failures: 0, recoveries: 0, lastError: null }),
  initial: 'opening',
  states: {
    opening: {
      invoke: {
        src: 'openStore',
        onDone: 'recovering',
        onError: {
          target: 'failed',
          actions: { type: 'rememberError', params: errorOf },
        },
      },
    },
    recovering: {
      invoke: {
        src: 'recoverState',
        onDone: 'writing',
        onError: {
          target: 'failed',
          actions: { type: 'rememberError', params: errorOf },
        },
      },
    },
    writing: {
      tags: 'writable',
      entry: 'admit',
      invoke: { src: 'commitChunks' },
      initial: 'idle',
      on: {
        'commit.failed': {
          target: 'refusing',
          actions: { type: 'rememberError', params: errorOf },
        },
        'log.close': 'closing',
      },
      states: {
        idle: { on: { 'commit.started': 'committing' } },
        committing: { on: { 'commit.synced': 'idle' } },
      },
    },
    refusing: {
      tags: 'refusing',
      entry: 'refuse',
      initial: 'closingHandle',
      on: { 'log.close': 'closing' },
      states: {
        closingHandle: {
          invoke: { src: 'closeHandle', onDone: 'reopening', onError: 'reopening' },
        },
        reopening: {
          invoke: {
            src: 'reopenStore',
            onDone: { target: '#commitLog.writing', actions: 'forgetFailures' },
            onError: {
              target: 'backingOff',
              actions: ['countFailure', { type: 'rememberError', params: errorOf }],
            },
          },
        },
        backingOff: { after: { backoff: 'closingHandle' } },
      },
    },
    closing: {
      invoke: { src: 'drain', onDone: 'closed', onError: 'closed' },
    },
    closed: { type: 'final', tags: 'ended' },
    failed: { type: 'final', tags: 'ended' },
  },
})
