import { exhaustMap, Observable, type OperatorFunction } from 'rxjs'

export interface GroupCommitOptions<Batch> {
  /** Everything that waits now, up to a batch; undefined when nothing does. */
  readonly take: () => Batch | undefined
  readonly write: (batch: Batch) => Promise<void>
}

export type CommitStep<Batch> =
  | { readonly type: 'started'; readonly batch: Batch }
  | { readonly type: 'synced'; readonly batch: Batch }

/**
 * Natural batching: one batch on its way while the next one fills, none when nothing waits.
 *
 * The source only says that something may wait; signals during a commit are covered by the
 * look that follows it. A failed write errors the stream, and its owner takes the store for
 * dead. Admission is the owner's: nothing here queues, so nothing here needs a bound.
 */
export const groupCommit = <Batch>(
  options: GroupCommitOptions<Batch>,
): OperatorFunction<void, CommitStep<Batch>> => exhaustMap(() => drained(options))

/**
 * The next batch is on its way before the last one is announced: whoever is answered does its
 * work while the disk does its own.
 */
const drained = <Batch>({ take, write }: GroupCommitOptions<Batch>) =>
  new Observable<CommitStep<Batch>>((subscriber) => {
    const commitNext = (done?: Batch): void => {
      const batch = take()
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
