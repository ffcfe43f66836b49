import type { Failures } from '../../machines/backoff.ts'
import type { LoopDescription } from '../../model/admin.ts'
import type { LoopClock } from './xstate-clock.ts'

/** What went wrong last, for people; undefined when nothing did. */
export const errorText = (error: unknown): string | undefined => {
  if (error === null || error === undefined) return undefined
  return error instanceof Error ? error.message : JSON.stringify(error)
}

interface LoopActor {
  getSnapshot(): { readonly value: unknown; readonly context: Failures }
}

/** A loop whose chart backs off when it fails, as people see it. */
export const loopOf = (address: string, actor: LoopActor, clock: LoopClock): LoopDescription => {
  const { value, context } = actor.getSnapshot()
  return {
    address,
    state: value,
    restarts: context.failures,
    lastError: errorText(context.lastError),
    nextTryInMs: clock.nextTryInMs,
  }
}
