import {
  buffer,
  concat,
  filter,
  interval,
  map,
  merge,
  type Observable,
  of,
  type SchedulerLike,
  share,
  take,
  repeat,
  delay,
} from 'rxjs'

export interface WakeOptions {
  /** News is gathered for so long, so that a busy queue is looked at now and then. */
  readonly gatherMs: number
  /** Everybody is looked at so often: what no news told of is found all the same. */
  readonly tickMs: number
  readonly scheduler: SchedulerLike
}

/** Who is to be looked at: those with news, or all. */
export type Wake<Owner> =
  | { readonly type: 'news'; readonly owners: ReadonlySet<Owner> }
  | { readonly type: 'tick' }

/** Looks at once, whenever there was news, and every tick. Quiet while nothing happens. */
export const wakes = <Owner>(
  news$: Observable<Iterable<Owner>>,
  { gatherMs, tickMs, scheduler }: WakeOptions,
): Observable<Wake<Owner>> => {
  const shared$ = news$.pipe(share())
  const gathered$ = shared$.pipe(take(1), delay(gatherMs, scheduler), repeat())
  const news = shared$.pipe(
    buffer(gathered$),
    map(
      (parts) => ({ type: 'news', owners: new Set(parts.flatMap((part) => [...part])) }) as const,
    ),
    filter(({ owners }) => owners.size > 0),
  )
  const ticks = concat(of(0), interval(tickMs, scheduler)).pipe(
    map(() => ({ type: 'tick' }) as const),
  )
  return merge(news, ticks)
}
