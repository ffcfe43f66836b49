import { BrokerError } from '../../model/errors.ts'

export const hasCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code))

/** The single place where errors of the file system become the tier's, cause kept. */
export const tierErrorOf = (
  error: unknown,
  { store, operation }: { readonly store: string; readonly operation: string },
): unknown => {
  if (error instanceof BrokerError || hasCode(error, 'ABORT_ERR')) return error
  const reason = error instanceof Error ? error.message : String(error)
  const cause = { cause: error }
  const isLink = error instanceof Error && 'syscall' in error && error.syscall === 'link'
  if (isLink && hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'))
    return new BrokerError('TIER_UNFIT', { store, reason }, cause)
  if (hasCode(error, 'EACCES', 'EPERM', 'EROFS'))
    return new BrokerError('TIER_DENIED', { store, operation, reason }, cause)
  return new BrokerError('TIER_UNAVAILABLE', { store, operation, reason }, cause)
}
