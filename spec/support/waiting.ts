const WAIT_MS = 5_000

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until it is so, and says what never was. */
export const eventually = async (
  what: string,
  isSo: () => boolean | Promise<boolean>,
  waitMs = WAIT_MS,
): Promise<void> => {
  const endMs = performance.now() + waitMs
  while (!(await isSo())) {
    if (performance.now() > endMs)
      throw new Error(`in ${waitMs / 1_000} s it was never so: ${what}`)
    await sleep(10)
  }
}
