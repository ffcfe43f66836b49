import { concatMap, EMPTY, from, map, type OperatorFunction } from 'rxjs'

/**
 * Turns commits into announcements: whoever has news after a commit is announced once, however
 * many of its queues were touched. `drain` hands over who has news and forgets them, so what
 * one failed announcement leaves behind is taken up by the next.
 */
export const announced = <Commit, Owner>(
  drain: () => readonly Owner[],
  announce: (owner: Owner) => void,
): OperatorFunction<Commit, number> =>
  concatMap(() => {
    const owners = drain()
    if (owners.length === 0) return EMPTY
    return from([owners]).pipe(
      map((batch) => {
        for (const owner of batch) announce(owner)
        return batch.length
      }),
    )
  })
