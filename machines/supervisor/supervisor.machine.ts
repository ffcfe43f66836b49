import { type AnyActorLogic, assign, enqueueActions, setup, stopChild } from 'xstate'
import { type Backoff, backoffMs } from '../backoff.ts'

export interface ChildSpec {
  /**
   * Its place among its siblings, given out again when it is gone: XState keeps what it has once
   * looked up for an event, and the event of an end has the id in its name.
   */
  readonly id: string
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
  /** By id. */
  readonly children: Readonly<Record<string, ChildRecord>>
}

export type SupervisorEvent =
  | { readonly type: 'child.start'; readonly spec: ChildSpec }
  | { readonly type: 'child.restart'; readonly id: string }
  | {
      readonly type: `xstate.error.actor.${string}`
      readonly actorId: string
      readonly error: unknown
    }
  | { readonly type: `xstate.done.actor.${string}`; readonly actorId: string }

const addressOf = ({ children }: SupervisorContext, id: string): { address: string } => ({
  address: children[id]?.spec.address ?? id,
})

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
    childFailed: (_, _params: { id: string; error: unknown }) => {},
    childEnded: (_, _params: { address: string }) => {},
    admitChild: assign(({ context }, { spec }: { spec: ChildSpec }) => ({
      children: { ...context.children, [spec.id]: { spec, restarts: 0, lastError: null } },
    })),
    rememberFailure: assign(({ context }, { id, error }: { id: string; error: unknown }) => {
      const child = context.children[id]
      if (child === undefined) return {}
      const record = { ...child, restarts: child.restarts + 1, lastError: error }
      return { children: { ...context.children, [id]: record } }
    }),
    forgetChild: assign(({ context }, { id }: { id: string }) => {
      const { [id]: _, ...children } = context.children
      return { children }
    }),
    // One that has ended by itself stays in the snapshot until it is stopped, too.
    letGo: stopChild((_, { id }: { id: string }) => id),
    spawn: enqueueActions(({ enqueue, context }, { id }: { id: string }) => {
      const spec = context.children[id]?.spec
      if (spec === undefined) return
      const options = { id, systemId: spec.address, input: spec.input() }
      enqueue.spawnChild(spec.logic, options as never)
    }),
    restartLater: enqueueActions(({ enqueue, context }, { id }: { id: string }) => {
      enqueue.stopChild(id)
      const delay = backoffMs(context.backoff, context.children[id]?.restarts ?? 1)
      enqueue.raise({ type: 'child.restart', id }, { id: `restart ${id}`, delay })
    }),
  },
}).createMachine({
  id: 'supervisor',
  context: ({ input }) => ({ ...input, children: {} }),
  on: {
    'child.start': {
      actions: [
        { type: 'admitChild', params: ({ event }) => ({ spec: event.spec }) },
        { type: 'spawn', params: ({ event }) => ({ id: event.spec.id }) },
      ],
    },
    'child.restart': {
      actions: { type: 'spawn', params: ({ event }) => ({ id: event.id }) },
    },
    'xstate.error.actor.*': {
      actions: [
        {
          type: 'rememberFailure',
          params: ({ event }) => ({ id: event.actorId, error: event.error }),
        },
        {
          type: 'childFailed',
          params: ({ event }) => ({ id: event.actorId, error: event.error }),
        },
        { type: 'restartLater', params: ({ event }) => ({ id: event.actorId }) },
      ],
    },
    'xstate.done.actor.*': {
      actions: [
        { type: 'letGo', params: ({ event }) => ({ id: event.actorId }) },
        { type: 'childEnded', params: ({ context, event }) => addressOf(context, event.actorId) },
        { type: 'forgetChild', params: ({ event }) => ({ id: event.actorId }) },
      ],
    },
  },
})
