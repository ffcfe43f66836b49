import type { Clock } from '../../model/ports.ts'
import type { RequestKind } from '../../model/tier/requests.ts'
import type { OnRequest } from './object-store.ts'

export interface MeterParts {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly onRequest: OnRequest | undefined
}

export interface MeteredRequest {
  readonly kind: RequestKind
  readonly key: string
  readonly sentBytes?: number
}

/** Tells of requests of stores without a wire: what is returned is what was received. */
export class RequestMeter {
  readonly #clock: MeterParts['clock']
  readonly #onRequest: OnRequest | undefined

  constructor({ clock, onRequest }: MeterParts) {
    this.#clock = clock
    this.#onRequest = onRequest
  }

  async measure<T>(request: MeteredRequest, work: () => Promise<T>): Promise<T> {
    const startMs = this.#clock.monotonicMs()
    let ok = false
    let receivedBytes = 0
    try {
      const result = await work()
      ok = true
      if (result instanceof Uint8Array) receivedBytes = result.length
      return result
    } finally {
      const ms = this.#clock.monotonicMs() - startMs
      this.#onRequest?.({ sentBytes: 0, ...request, receivedBytes, ms, ok })
    }
  }
}
