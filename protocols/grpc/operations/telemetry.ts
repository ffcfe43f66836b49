import type { Principal } from '../../../model/access.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { SessionLink, SessionRole } from '../../../model/ports.ts'
import type { TransactionCheck } from '../../../model/transaction/transactions.ts'
import { asGroup, authenticate, authorize, type Need, publishTo, subscribeTo } from '../access.ts'
import type { KnownClient } from '../clients.ts'
import type { CallContext } from '../context.ts'
import { OK, statusOf } from '../status.ts'
import { checkCommand } from '../wire/checked-message.ts'
import { nameOf } from '../wire/common.ts'
import { decoded } from '../wire/primitives.ts'
import type { ValueOf } from '../wire/fields.ts'
import { languages, type Settings, telemetryCommand } from '../wire/telemetry.ts'
import { checkSettings, mergedSettings, topicsOf } from './client-settings.ts'
import { checkFilters } from './filters.ts'

/** Where commands to the client go; ending it always means gRPC OK. */
export interface TelemetryOutlet {
  send(command: Buffer): void
  end(): void
}

/** When the first settings are said again, in ms after the client's. */
const REPEATS_MS = [200, 1_000] as const
const REQUEST_TIMEOUT_MS_DEFAULT = 3_000

type Command = ValueOf<typeof telemetryCommand>

const silent: Command = { status: undefined, settings: undefined, check: undefined }
const encode = (command: Partial<Command>): Buffer =>
  telemetryCommand.encode({ ...silent, ...command })

/**
 * The Node client listens for its first settings only when the routes of all its topics are
 * there, which with two topics and a fast server is too late; it then waits five minutes.
 * Saying them again is harmless to every client (RocketMQ gRPC 5).
 */
const isLateListener = (context: CallContext, settings: Settings): boolean =>
  topicsOf(settings).length >= 2 ||
  context.header('x-mq-language') === 'HTTP' ||
  settings.userAgent?.language === languages.nodeJs

const needsOf = (settings: Settings): readonly Need[] => {
  const { publishing, subscription } = settings
  const topics = topicsOf(settings)
  if (publishing !== undefined) return topics.map(publishTo)
  return [asGroup(nameOf(subscription?.group)), ...topics.map(subscribeTo)]
}

/**
 * One telemetry stream (RocketMQ gRPC 5): answers settings, keeps the session alive while it is
 * open. What is wrong is told as a command with nothing but a status, which makes a starting
 * client fail with that code, and the stream then ends with OK: an error status there kills a
 * Node process that has just closed. Answers to commands are ignored: some clients send the
 * wrong ones.
 */
export class TelemetryStream {
  readonly #context: CallContext
  readonly #outlet: TelemetryOutlet
  readonly #cancellations: (() => void)[] = []
  #role: SessionRole | undefined
  #link: SessionLink | undefined
  #known: KnownClient | undefined
  #leaveTransactions: (() => void) | undefined
  #principal: Principal | undefined
  #isClosed = false

  constructor(context: CallContext, outlet: TelemetryOutlet) {
    this.#context = context
    this.#outlet = outlet
    try {
      this.#principal = authenticate(context)
      if (context.clientId === '') throw new BrokerError('CLIENT_ID_REQUIRED', {})
    } catch (error) {
      this.refuse(error)
    }
  }

  receive(bytes: Buffer): void {
    if (this.#isClosed) return
    try {
      const { settings } = decoded(telemetryCommand.decode, bytes)
      if (settings !== undefined) this.#accept(settings)
    } catch (error) {
      this.refuse(error)
    }
  }

  /** Tells the client why, and ends the stream. */
  refuse(error: unknown): void {
    if (this.#isClosed) return
    const status = statusOf(error, this.#context.door.logger, 'Telemetry')
    this.#outlet.send(encode({ status }))
    this.end()
  }

  end(): void {
    if (this.#isClosed) return
    this.close()
    this.#outlet.end()
  }

  /** The stream is over, however it ended: lets go of the session and of everything pending. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const cancel of this.#cancellations) cancel()
    this.#link?.close()
    this.#leaveTransactions?.()
    this.#context.door.metrics.disconnected(this)
    if (this.#known) this.#context.door.clients.forget(this.#context.clientId, this.#known)
  }

  #accept(settings: Settings): void {
    const { door, clientId } = this.#context
    const role = checkSettings(settings)
    authorize(this.#context, this.#principal, needsOf(settings))
    checkFilters(door, settings)
    this.#join(role)
    const isFirst = this.#known === undefined
    this.#known = { requestTimeoutMs: settings.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT }
    door.clients.remember(clientId, this.#known)
    door.metrics.connected(this, settings)
    this.#offerForChecks(settings)
    const reply = encode({ status: OK, settings: mergedSettings(door, settings) })
    this.#outlet.send(reply)
    if (!isFirst || !isLateListener(this.#context, settings)) return
    for (const delayMs of REPEATS_MS)
      this.#cancellations.push(door.clock.after(delayMs, () => this.#outlet.send(reply)))
  }

  #join(role: SessionRole): void {
    if (role === this.#role) return
    const before = this.#link
    this.#role = role
    this.#link = this.#context.door.broker.sessions.open(this.#context.clientId, role)
    before?.close()
  }
  /**
   * A producer may be asked about transactions of the topics it publishes to, for as long as its
   * stream is open; its newest settings count. Its answer is an EndTransaction.
   */
  #offerForChecks({ publishing }: Settings): void {
    const { broker } = this.#context.door
    const before = this.#leaveTransactions
    this.#leaveTransactions =
      publishing &&
      broker.transactions.register({
        topics: new Set(publishing.topics.map(nameOf)),
        check: (asked) => this.#ask(asked),
      })
    before?.()
  }

  #ask(asked: TransactionCheck): boolean {
    if (this.#isClosed) return false
    this.#outlet.send(encode({ check: checkCommand(asked, this.#context.door.storeHost) }))
    return true
  }
}
