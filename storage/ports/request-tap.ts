import type { OnRequest } from './object-store.ts'

/** Between a store, which is opened first, and those who count its requests. */
export class RequestTap {
  readonly #listeners: OnRequest[] = []

  readonly onRequest: OnRequest = (request) => {
    for (const listener of this.#listeners) listener(request)
  }

  listen(listener: OnRequest): void {
    this.#listeners.push(listener)
  }
}
