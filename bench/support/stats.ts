export const quantile = (values: readonly number[], q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * q))
  return sorted[at] ?? Number.NaN
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** Items per second of some work. */
export const rateOf = async (items: number, work: () => Promise<unknown>): Promise<number> => {
  const startMs = performance.now()
  await work()
  return (items * 1_000) / (performance.now() - startMs)
}

/** Calls `task(0)` to `task(count - 1)`, `width` of them at a time. */
export const inFlight = async (
  count: number,
  width: number,
  task: (index: number) => Promise<unknown>,
): Promise<void> => {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker))
}
