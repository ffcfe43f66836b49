import type { BrokerError, BrokerErrorCode } from '../../model/errors.ts'

/** What was refused at the admission point since the start, by code. */
export class Refusals {
  readonly #counts = new Map<BrokerErrorCode, number>()

  get counts(): ReadonlyMap<BrokerErrorCode, number> {
    return this.#counts
  }

  /** Counts the refusal and gives it back, to be thrown. */
  counted(error: BrokerError): BrokerError {
    this.#counts.set(error.code, (this.#counts.get(error.code) ?? 0) + 1)
    return error
  }
}
