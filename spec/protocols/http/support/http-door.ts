import { createBroker, type EmbeddedBroker, type Logger, systemClock } from '../../../../index.ts'
import type { AdminPort } from '../../../../model/admin.ts'
import {
  type HttpDoor,
  type HttpDoorOptions,
  openHttpDoor,
} from '../../../../protocols/http/server.ts'
import { ScriptedTier } from '../../../support/scripted-tier.ts'

export interface OpenedDoor extends AsyncDisposable {
  readonly broker: EmbeddedBroker
  readonly door: HttpDoor
  readonly url: string
  readonly port: number
  /** Everything that the door said, in order. */
  readonly logged: string[]
}

/** A door on a broker in memory, of which parts may be replaced. */
export const openDoor = async (
  options: Partial<HttpDoorOptions> = {},
  parts: Partial<AdminPort> = {},
): Promise<OpenedDoor> => {
  const broker = await createBroker({ memory: true })
  const admin: AdminPort = {
    broker: broker.port,
    version: '0.0.0',
    refusal: () => undefined,
    loops: () => [],
    send: (topic, draft) => broker.send(topic, draft),
    audit: () => broker.audit(),
    metrics: async function* () {
      yield await broker.metrics()
    },
    backup: async function* () {
      yield new Uint8Array()
    },
    verify: async function* () {
      yield { type: 'progress', done: 0, of: 0 }
    },
    tiering: new ScriptedTier(),
    ...parts,
  }
  const logged: string[] = []
  const log = (fields: object, message: string): void =>
    void logged.push(`${message} ${JSON.stringify(fields)}`)
  const logger: Logger = { info: log, warn: log, error: log }
  const door = await openHttpDoor(
    admin,
    { clock: systemClock, logger },
    { host: '127.0.0.1', port: 0, ...options },
  )
  const { port } = door.address
  return {
    broker,
    door,
    port,
    url: `http://127.0.0.1:${port}`,
    logged,
    [Symbol.asyncDispose]: async () => {
      await door.close({ drainMs: 1_000 })
      await broker.close()
    },
  }
}
