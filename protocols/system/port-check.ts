import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Check } from '../../model/doctor.ts'

export interface PortOptions {
  /** What it is for: `gRPC`. */
  readonly what: string
  readonly host: string
  readonly port: number
  /** A running broker may well hold it. */
  readonly isInUse: boolean
}

/** Whether a broker could listen there now. */
export const checkPort = async ({ what, host, port, isInUse }: PortOptions): Promise<Check> => {
  const name = 'port'
  const where = `${what} ${host}:${port}`
  const code = await listen(host, port)
  if (code === undefined) return { name, state: 'ok', says: `${where} is free` }
  if (code === 'EADDRINUSE' && isInUse)
    return { name, state: 'ok', says: `${where} is taken, as it should be by the running broker` }
  const remedy =
    code === 'EADDRINUSE'
      ? 'Stop what listens there, or choose another port.'
      : 'Choose an address of this machine and a port that this user may listen on.'
  return { name, state: 'fault', says: `${where} cannot be listened on (${code})`, remedy }
}

const listen = async (host: string, port: number): Promise<string | undefined> => {
  const server = createServer()
  try {
    server.listen({ host, port })
    await once(server, 'listening')
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  } finally {
    server.close()
  }
}
