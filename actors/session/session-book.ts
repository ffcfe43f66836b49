import type { Subscription } from '../consumer-group/subscription.ts'

/** A client's session on the data plane: plain fields, so that a call costs a look-up. */
export interface SessionEntry {
  readonly number: number
  readonly clientId: string
  readonly subscriptions: Set<Subscription>
  links: number
  lastSeenMs: number
  isAlive: boolean
}

/** Who is alive, by number (as leases know them) and by client id. */
export class SessionBook {
  readonly #byClient = new Map<string, SessionEntry>()
  readonly #byNumber = new Map<number, SessionEntry>()
  #next = 1

  get count(): number {
    return this.#byClient.size
  }

  find(clientId: string): SessionEntry | undefined {
    return this.#byClient.get(clientId)
  }

  numbered(number: number): SessionEntry | undefined {
    return this.#byNumber.get(number)
  }

  enter(clientId: string, nowMs: number): SessionEntry {
    const entry: SessionEntry = {
      number: this.#next++,
      clientId,
      subscriptions: new Set(),
      links: 0,
      lastSeenMs: nowMs,
      isAlive: true,
    }
    this.#byClient.set(clientId, entry)
    this.#byNumber.set(entry.number, entry)
    return entry
  }

  leave(entry: SessionEntry): void {
    entry.isAlive = false
    this.#byNumber.delete(entry.number)
    if (this.#byClient.get(entry.clientId) === entry) this.#byClient.delete(entry.clientId)
  }

  isAlive(number: number): boolean {
    return this.#byNumber.get(number)?.isAlive ?? false
  }

  /**
   * The session that renews leases of this subscription. An unknown client is one of a former
   * life, met while facts are folded: it gets a session, which begins when the broker does.
   */
  hold(clientId: string, subscription: Subscription): number {
    const entry = this.#byClient.get(clientId) ?? this.enter(clientId, 0)
    entry.subscriptions.add(subscription)
    return entry.number
  }

  /** The subscription ended: no session holds anything of it any more. */
  release(subscription: Subscription): void {
    for (const { subscriptions } of this.#byNumber.values()) subscriptions.delete(subscription)
  }

  all(): readonly SessionEntry[] {
    return [...this.#byNumber.values()]
  }
}
