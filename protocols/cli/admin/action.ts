import { type Command, Option } from 'commander'
import { fail } from '../failure.ts'
import type { World } from '../world.ts'
import { type AdminClient, createAdminClient } from './client.ts'

const URL_DEFAULT = 'http://127.0.0.1:8082'

/** What a command that speaks to a broker is given. */
export interface Admin {
  readonly client: AdminClient
  readonly world: World
  readonly isJson: boolean
  /** Prints the answer: as JSON where that was asked for, else as lines for people. */
  readonly show: (answer: unknown, forPeople: () => readonly string[]) => void
}

export interface AdminFlags {
  readonly url?: string
  readonly token?: string
  readonly json?: boolean
}

/** Which broker, with what token, and how the answer is printed. */
export const withAdminOptions = (command: Command): Command =>
  command
    .addOption(new Option('--url <url>', `the broker's HTTP port (GLASSPOST_URL; ${URL_DEFAULT})`))
    .addOption(new Option('--token <token>', 'its bearer token, better in GLASSPOST_TOKEN'))
    .addOption(new Option('--json', 'print the answer as JSON'))

/** A command that speaks to a running broker. */
export const adminAction = (
  world: World,
  command: Command,
  act: (admin: Admin, args: readonly string[], flags: never) => Promise<void>,
): Command =>
  withAdminOptions(command).action(async (...given: unknown[]) => {
    const self = given.at(-1) as Command
    const flags = self.optsWithGlobals<AdminFlags>()
    try {
      await act(adminOf(world, flags), self.processedArgs as string[], flags as never)
    } catch (error) {
      fail(world, { isJson: flags.json === true })(error)
    }
  })

export const adminOf = (world: World, { url, token, json: isJson = false }: AdminFlags): Admin => {
  const { environment } = world
  const client = createAdminClient({
    url: baseOf(url ?? environment['GLASSPOST_URL'] ?? URL_DEFAULT),
    token: token ?? environment['GLASSPOST_TOKEN'],
  })
  return {
    client,
    world,
    isJson,
    show: (answer, forPeople) => {
      if (isJson) world.print(JSON.stringify(answer))
      else for (const line of forPeople()) world.print(line)
    },
  }
}

/** `host:port` alone is fine. */
const baseOf = (url: string): string =>
  (/^https?:\/\//.test(url) ? url : `http://${url}`).replace(/\/+$/, '')
