import { isBrokerError } from '../../model/errors.ts'
import type { World } from './world.ts'

/** The end of a command that failed: sentence and remedy on stderr, exit code 1. */
export const fail =
  (world: World) =>
  (error: unknown): never => {
    const text = isBrokerError(error)
      ? `${error.message}\n  ${error.remedy} (${error.code})`
      : String(error instanceof Error ? (error.stack ?? error.message) : error)
    world.complain(`glasspost: ${text}`)
    return world.exit(1)
  }
