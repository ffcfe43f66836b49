import { startWith } from 'rxjs'
import { createActor, fromCallback } from 'xstate'
import { dispatcherMachine } from '../../machines/dispatcher/dispatcher.machine.ts'
import { announced } from '../../streams/dispatch/announce.stream.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import type { XStateClock } from '../system/xstate-clock.ts'
import type { Topic } from '../topic/topic.ts'

export interface DispatcherDeps extends Omit<ActorSystemDeps, 'clock'> {
  readonly clock: XStateClock
  readonly log: CommitLog
  /** Topics with messages that became visible since the last call. */
  readonly drainNews: () => readonly Topic[]
}

/** Follows the log's commits and wakes the subscriptions of topics with news. */
export const createDispatcher = ({ log, drainNews, clock, logger, inspect }: DispatcherDeps) => {
  const machine = dispatcherMachine.provide({
    actors: {
      followCommits: fromCallback(({ sendBack }) => {
        const following = log.committed$
          .pipe(
            startWith(undefined),
            announced(drainNews, (topic) => topic.announce()),
          )
          .subscribe({
            error: (error: unknown) => {
              logger.error({ error: String(error) }, 'dispatch failed and starts again')
              sendBack({ type: 'dispatch.failed', error })
            },
          })
        sendBack({ type: 'dispatch.caughtUp' })
        return () => following.unsubscribe()
      }),
    },
  })
  const actor = createActor(machine, {
    id: 'dispatcher',
    systemId: 'dispatcher',
    clock,
    ...(inspect ? { inspect } : {}),
    input: { backoff: { msBase: 50, msMax: 5_000 } },
  })
  actor.subscribe({
    error: (error) => logger.error({ error: String(error) }, 'the dispatcher failed'),
  })
  return actor
}
