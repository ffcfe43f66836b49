import { sessionMachine } from '../../machines/session/session.machine.ts'
import type { Clock, SessionLink, SessionRole, Sessions } from '../../model/ports.ts'
import type { Supervision } from '../system/supervision.ts'
import type { SessionBook, SessionEntry } from './session-book.ts'

export interface SessionRegistryDeps {
  readonly book: SessionBook
  readonly clock: Clock
  readonly supervision: Supervision
  readonly graceMs: number
  readonly onLost: (session: SessionEntry) => void
}

const sessionAddress = ({ number }: SessionEntry): string => `session:${number}`

/** Gives `sessionMachine` its hands; made once for all sessions. */
const sessionLogic = ({ book, clock, graceMs, onLost }: SessionRegistryDeps) =>
  sessionMachine.provide({
    guards: {
      wasSeen: ({ context }) => {
        const entry = book.numbered(context.number)
        return entry !== undefined && clock.monotonicMs() - entry.lastSeenMs < graceMs
      },
    },
    actions: {
      release: ({ context }) => {
        const entry = book.numbered(context.number)
        if (entry === undefined) return
        book.leave(entry)
        onLost(entry)
      },
    },
  })

/** Clients, alive by streams or calls; one actor each, which a call never wakes. */
export class SessionRegistry implements Sessions {
  readonly #deps: SessionRegistryDeps
  readonly #logic: ReturnType<typeof sessionLogic>

  constructor(deps: SessionRegistryDeps) {
    this.#deps = deps
    this.#logic = sessionLogic(deps)
  }

  get count(): number {
    return this.#deps.book.count
  }

  /**
   * Clients that held auto-renewed leases when the broker stopped have one grace period to come
   * back; then their leases are given to others.
   */
  startAll(): void {
    const { book, clock } = this.#deps
    for (const entry of book.all()) {
      if (![...entry.subscriptions].some((each) => each.isHeldBy(entry.number))) {
        book.leave(entry)
        continue
      }
      entry.lastSeenMs = clock.monotonicMs()
      this.#start(entry)
    }
  }

  open(clientId: string, role: SessionRole): SessionLink {
    const entry = this.#seen(clientId, role)
    entry.links++
    if (entry.links === 1) this.#send(entry, 'session.attached')
    let isOpen = true
    return {
      close: () => {
        if (!isOpen) return
        isOpen = false
        entry.links--
        entry.lastSeenMs = this.#deps.clock.monotonicMs()
        if (entry.links === 0 && entry.isAlive) this.#send(entry, 'session.detached')
      },
    }
  }

  touch(clientId: string, role: SessionRole): void {
    this.#seen(clientId, role)
  }

  terminate(clientId: string): void {
    const entry = this.#deps.book.find(clientId)
    if (entry) this.#send(entry, 'session.terminated')
  }

  #seen(clientId: string, _role: SessionRole): SessionEntry {
    const { book, clock } = this.#deps
    const nowMs = clock.monotonicMs()
    const known = book.find(clientId)
    if (known) {
      known.lastSeenMs = nowMs
      return known
    }
    const entry = book.enter(clientId, nowMs)
    this.#start(entry)
    return entry
  }

  #start(entry: SessionEntry): void {
    const { graceMs, supervision } = this.#deps
    const { number } = entry
    supervision.start(sessionAddress(entry), this.#logic, () => ({ number, graceMs }))
  }

  #send(entry: SessionEntry, type: string): void {
    this.#deps.supervision.send(sessionAddress(entry), { type })
  }
}
