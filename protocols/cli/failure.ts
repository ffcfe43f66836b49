import { type ErrorKind, isBrokerError } from '../../model/errors.ts'
import { RefusedError, UnreachableError } from './admin/client.ts'
import { exitCodes } from './exit-codes.ts'
import type { World } from './world.ts'

/** The end of a command that failed: sentence and remedy on stderr, and a code that says why. */
export const fail =
  (world: World, { isJson = false } = {}) =>
  (error: unknown): never => {
    if (isJson && isTold(error)) {
      const { code, message, remedy } = error
      world.complain(JSON.stringify({ code, message, remedy }))
      return world.exit(exitCodeOf(error))
    }
    const text = isTold(error)
      ? `${error.message}\n  ${error.remedy} (${error.code})`
      : String(error instanceof Error ? (error.stack ?? error.message) : error)
    world.complain(`glasspost: ${text}`)
    return world.exit(exitCodeOf(error))
  }

const isTold = (error: unknown) =>
  isBrokerError(error) || error instanceof RefusedError || error instanceof UnreachableError

const exitCodeOf = (error: unknown): number => {
  if (isBrokerError(error, 'SETTINGS_REFUSED')) return exitCodes.usage
  if (error instanceof UnreachableError) return exitCodes.unreachable
  return error instanceof RefusedError ? exitCodeOfKind(error.kind) : exitCodes.failed
}

const exitCodeOfKind = (kind: ErrorKind): number => {
  if (kind === 'notFound') return exitCodes.notFound
  return kind === 'throttled' || kind === 'unavailable' ? exitCodes.tryAgain : exitCodes.failed
}
