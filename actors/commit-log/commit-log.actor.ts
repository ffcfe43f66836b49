import { createActor, fromCallback, fromPromise, type InspectionEvent, type Observer } from 'xstate'
import { commitLogMachine } from '../../machines/commit-log/commit-log.machine.ts'
import type { Logger } from '../../model/ports.ts'
import type { LogTail } from '../../storage/log/chunk-log.ts'
import { groupCommit } from '../../streams/append/group-commit.stream.ts'
import type { XStateClock } from '../system/xstate-clock.ts'
import type { CommitLog } from './commit-log.ts'
import type { CommitLogSettings } from './settings.ts'

export interface CommitLogActorDeps {
  readonly log: CommitLog
  readonly settings: CommitLogSettings
  readonly logger: Logger
  /** Folds checkpoint and log into state; the log begins its epoch afterwards. */
  readonly recover: (tail: LogTail) => Promise<void>
}

/** Gives `commitLogMachine` its hands. */
const commitLogLogic = ({ log, logger, recover }: CommitLogActorDeps) => {
  let tail: LogTail
  let lastError: unknown
  return commitLogMachine.provide({
    actions: {
      admit: () => log.setMode('writing'),
      refuse: ({ context }) => {
        lastError = context.lastError
        log.setMode('refusing')
        logger.error(
          { error: messageOf(lastError) },
          'a write failed: sends are refused until the commit log is proven again',
        )
      },
    },
    actors: {
      openStore: fromPromise(async () => {
        tail = await log.open()
      }),
      recoverState: fromPromise(async () => {
        await recover(tail)
        await log.begin()
      }),
      commitChunks: fromCallback(({ sendBack }) => {
        const running = log.signal$
          .pipe(groupCommit({ take: log.take, write: log.write }))
          .subscribe({
            next: ({ type, batch }) => {
              if (type === 'synced') log.applySynced(batch)
              sendBack({ type: `commit.${type}` })
            },
            error: (error: unknown) => sendBack({ type: 'commit.failed', error }),
          })
        const broken = log.broken$.subscribe((error) => sendBack({ type: 'commit.failed', error }))
        return () => {
          running.unsubscribe()
          broken.unsubscribe()
        }
      }),
      closeHandle: fromPromise(() => log.closeHandle()),
      reopenStore: fromPromise(async () => {
        try {
          await log.reopen(lastError)
        } catch (error) {
          lastError = error
          logger.warn({ error: messageOf(error) }, 'the commit log could not be reopened yet')
          throw error
        }
      }),
      drain: fromPromise(() => log.drain()),
    },
  })
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

export type CommitLogActor = ReturnType<typeof createCommitLogActor>

export const createCommitLogActor = (
  deps: CommitLogActorDeps,
  options: { clock: XStateClock; inspect?: Observer<InspectionEvent> | undefined },
) =>
  createActor(commitLogLogic(deps), {
    id: 'commit-log',
    systemId: 'commit-log',
    clock: options.clock,
    ...(options.inspect ? { inspect: options.inspect } : {}),
    input: { backoff: deps.settings.backoff },
  })
