import { concat, defer, EMPTY, exhaustMap, map, of, type OperatorFunction } from 'rxjs'

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
 * The source only says that something may wait, and says so again after a batch was announced
 * while something does: what the answers bring shares the next commit. A failed write errors
 * the stream, and its owner takes the store for dead. Admission is the owner's: nothing here
 * queues, so nothing here needs a bound.
 */
export const groupCommit = <Batch>({
  take,
  write,
}: GroupCommitOptions<Batch>): OperatorFunction<void, CommitStep<Batch>> =>
  exhaustMap(() => {
    const batch = take()
    if (batch === undefined) return EMPTY
    return concat(
      of({ type: 'started', batch } as const),
      defer(() => write(batch)).pipe(map(() => ({ type: 'synced', batch }) as const)),
    )
  })
