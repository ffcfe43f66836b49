import { type AnyActorLogic, assign, enqueueActions, setup } from 'xstate'
import { type Backoff, backoffMs } from '../backoff.ts'

export interface ChildSpec {
  readonly address: string
  readonly logic: AnyActorLogic
  /** From durable state, asked anew at every start. */
  readonly input: () => unknown
}

export interface SupervisorInput {
  readonly backoff: Backoff
}

export interface ChildRecord {
  readonly spec: ChildSpec
  readonly restarts: number
  readonly lastError: unknown
}

export interface SupervisorContext extends SupervisorInput {
  readonly children: Readonly<Record<string, ChildRecord>>
}

export type SupervisorEvent =
  | { readonly type: 'child.start'; readonly spec: ChildSpec }
  | { readonly type: 'child.restart'; readonly address: string }
  | {
      readonly type: `xstate.error.actor.${string}`
      readonly actorId: string
      readonly error: unknown
    }
  | { readonly type: `xstate.done.actor.${string}`; readonly actorId: string }

/**
 * A bucket of at most some 128 children (spawning is linear in siblings). A child that throws
 * is started again with back-off, from its durable state; one that ends is forgotten.
 */
export const supervisorMachine = setup({
  types: {
    context: {} as SupervisorContext,
    events: {} as SupervisorEvent,
    input: {} as SupervisorInput,
  },
  actions: {
    childFailed: (_, _params: { address: string; error: unknown }) => {},
    childEnded: (_, _params: { address: string }) => {},
    admitChild: assign(({ context }, { spec }: { spec: ChildSpec }) => ({
      children: { ...context.children, [spec.address]: { spec, restarts: 0, lastError: null } },
    })),
    rememberFailure: assign(
      ({ context }, { address, error }: { address: string; error: unknown }) => {
        const child = context.children[address]
        if (child === undefined) return {}
        const record = { ...child, restarts: child.restarts + 1, lastError: error }
        return { children: { ...context.children, [address]: record } }
      },
    ),
    forgetChild: assign(({ context }, { address }: { address: string }) => {
      const { [address]: _, ...children } = context.children
      return { children }
    }),
    spawn: enqueueActions(({ enqueue, context }, { address }: { address: string }) => {
      const spec = context.children[address]?.spec
      if (spec === undefined) return
      const options = { id: address, systemId: address, input: spec.input() }
      enqueue.spawnChild(spec.logic, options as never)
    }),
    restartLater: enqueueActions(({ enqueue, context }, { address }: { address: string }) => {
      enqueue.stopChild(address)
      const delay = backoffMs(context.backoff, context.children[address]?.restarts ?? 1)
      enqueue.raise({ type: 'child.restart', address }, { id: `restart ${address}`, delay })
    }),
  },
}).createMachine({
  id: 'supervisor',
  context: ({ input }) => ({ ...input, children: {} }),
  on: {
    'child.start': {
      actions: [
        { type: 'admitChild', params: ({ event }) => ({ spec: event.spec }) },
        { type: 'spawn', params: ({ event }) => ({ address: event.spec.address }) },
      ],
    },
    'child.restart': {
      actions: { type: 'spawn', params: ({ event }) => ({ address: event.address }) },
    },
    'xstate.error.actor.*': {
      actions: [
        {
          type: 'rememberFailure',
          params: ({ event }) => ({ address: event.actorId, error: event.error }),
        },
        {
          type: 'childFailed',
          params: ({ event }) => ({ address: event.actorId, error: event.error }),
        },
        { type: 'restartLater', params: ({ event }) => ({ address: event.actorId }) },
      ],
    },
    'xstate.done.actor.*': {
      actions: [
        { type: 'forgetChild', params: ({ event }) => ({ address: event.actorId }) },
        { type: 'childEnded', params: ({ event }) => ({ address: event.actorId }) },
      ],
    },
  },
})
