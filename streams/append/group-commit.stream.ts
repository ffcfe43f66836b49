import { exhaustMap, Observable, type OperatorFunction } from 'rxjs'

export interface GroupCommitOptions<Batch> {
  /** Everything that waits now, up to a batch; undefined when nothing does. */
  readonly take: () => Batch | undefined
  readonly write: (batch: Batch) => Promise<void>
  /** True while so much waits that it is worth a commit without what the next answers bring. */
  readonly hasPlenty: () => boolean
}

export type CommitStep<Batch> =
  | { readonly type: 'started'; readonly batch: Batch }
  | { readonly type: 'synced'; readonly batch: Batch }

/**
 * Natural batching: one batch on its way while the next one fills, none when nothing waits.
 *
 * The source only says that something may wait, and says so again after a batch was announced
 * while something does. A failed write errors the stream, and its owner takes the store for
 * dead. Admission is the owner's: nothing here queues, so nothing here needs a bound.
 */
export const groupCommit = <Batch>(
  options: GroupCommitOptions<Batch>,
): OperatorFunction<void, CommitStep<Batch>> => exhaustMap(() => drained(options))

/**
 * Where plenty waits, the next batch is on its way before the last one is announced: whoever is
 * answered does its work while the disk does its own. Where little waits it is announced first,
 * so that what the answers bring shares the next commit instead of waiting for the one after.
 */
const drained = <Batch>({ take, write, hasPlenty }: GroupCommitOptions<Batch>) =>
  new Observable<CommitStep<Batch>>((subscriber) => {
    const commitNext = (done?: Batch): void => {
      const batch = done === undefined || hasPlenty() ? take() : undefined
      const writing = batch === undefined ? undefined : write(batch)
      if (done !== undefined) subscriber.next({ type: 'synced', batch: done })
      if (batch === undefined || writing === undefined) {
        subscriber.complete()
        return
      }
      subscriber.next({ type: 'started', batch })
      writing.then(
        () => {
          if (!subscriber.closed) commitNext(batch)
        },
        (error: unknown) => subscriber.error(error),
      )
    }
    commitNext()
  })
