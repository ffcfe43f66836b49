import type { OnRequest } from './object-store.ts'

/** Between a store, which is opened first, and whoever counts its requests. */
export class RequestTap {
  #listener: OnRequest = () => {}

  readonly onRequest: OnRequest = (request) => this.#listener(request)

  /** One listener; a later one takes the place of an earlier one. */
  listen(listener: OnRequest): void {
    this.#listener = listener
  }
}
