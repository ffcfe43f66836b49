export interface Backoff {
  readonly msBase: number
  readonly msMax: number
}

/** Doubles per failure up to a cap. */
export const backoffMs = ({ msBase, msMax }: Backoff, failures: number): number =>
  Math.min(msMax, msBase * 2 ** Math.max(0, failures - 1))
