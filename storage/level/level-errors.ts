import { BrokerError } from '../../model/errors.ts'

/** LevelDB does not say where; a position that no log has. */
const POSITION_UNKNOWN = -1

/** Runs work on LevelDB: the single place where its errors become the broker's, cause kept. */
export const attempt = async <T>(
  { store, operation }: { store: string; operation: string },
  work: () => Promise<T>,
): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (error instanceof BrokerError) throw error
    const corruption = causeWithCode(error, 'LEVEL_CORRUPTION')
    if (corruption === undefined)
      throw new BrokerError('STORE_UNAVAILABLE', { store, operation }, { cause: error })
    const params = { store, position: POSITION_UNKNOWN, reason: corruption.message }
    throw new BrokerError('CORRUPT', params, { cause: error })
  }
}

/** What failed is often the cause of a cause: LevelDB's own words come wrapped. */
export const causeWithCode = (error: unknown, ...codes: string[]): Error | undefined => {
  if (!(error instanceof Error)) return undefined
  const isWanted = 'code' in error && codes.includes(String(error.code))
  return isWanted ? error : causeWithCode(error.cause, ...codes)
}
