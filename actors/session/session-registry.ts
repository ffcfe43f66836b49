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

/** Clients, alive by streams or calls; one actor each, which a call never wakes. */
export class SessionRegistry implements Sessions {
  readonly #deps: SessionRegistryDeps

  constructor(deps: SessionRegistryDeps) {
    this.#deps = deps
  }

  get count(): number {
    return this.#deps.book.count
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
    const { book, clock, graceMs, onLost, supervision } = this.#deps
    const logic = sessionMachine.provide({
      guards: { wasSeen: () => clock.monotonicMs() - entry.lastSeenMs < graceMs },
      actions: {
        release: () => {
          book.leave(entry)
          onLost(entry)
        },
      },
    })
    supervision.start(sessionAddress(entry), logic, () => ({ graceMs }))
  }

  #send(entry: SessionEntry, type: string): void {
    this.#deps.supervision.send(sessionAddress(entry), { type })
  }
}
