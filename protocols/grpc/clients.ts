/** What the door remembers of a client's settings, for as long as its telemetry stream is open. */
export interface KnownClient {
  readonly requestTimeoutMs: number
}

/**
 * Settings by client id. A client keeps one stream per address it knows us by; the newest one
 * counts, and an older stream that ends later takes nothing away. Memory is bounded by the open
 * streams. Absence is normal: after a restart some clients call for minutes before they send
 * their settings again (RocketMQ gRPC 5), so nothing may depend on presence.
 */
export class KnownClients {
  readonly #clients = new Map<string, KnownClient>()

  get size(): number {
    return this.#clients.size
  }

  find(clientId: string): KnownClient | undefined {
    return this.#clients.get(clientId)
  }

  remember(clientId: string, client: KnownClient): void {
    this.#clients.set(clientId, client)
  }

  forget(clientId: string, client?: KnownClient): void {
    if (client === undefined || this.#clients.get(clientId) === client)
      this.#clients.delete(clientId)
  }
}
