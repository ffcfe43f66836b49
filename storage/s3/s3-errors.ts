import { BrokerError } from '../../model/errors.ts'

export interface S3Attempt {
  readonly store: string
  readonly bucket: string
  readonly operation: string
  /** Where one object is spoken of. */
  readonly key?: string
  /** Where the end of a range matters. */
  readonly to?: number
  /** For a put that asks that there be none. */
  readonly ifAbsent?: boolean
}

/** The single place where the client's errors become the tier's, cause kept. */
export const tierErrorOf = (error: unknown, attempt: S3Attempt): unknown => {
  if (error instanceof BrokerError) return error
  const { store, operation, key, bucket } = attempt
  const { name, status, message } = told(error)
  const cause = { cause: error }
  const unavailable = (reason: string): BrokerError =>
    new BrokerError('TIER_UNAVAILABLE', { store, operation, reason }, cause)
  const reason = [status > 0 ? String(status) : '', name === 'Error' ? '' : name, message]
    .filter((part) => part !== '')
    .join(' ')
  if (name === 'NoSuchBucket')
    return unavailable(`the bucket '${bucket}' does not exist: create it, or set s3.bucket right`)
  if (name === 'PermanentRedirect' || status === 301)
    return unavailable(`the bucket '${bucket}' is in another region: set s3.region right`)
  if (status === 401 || status === 403 || name === 'CredentialsProviderError')
    return new BrokerError('TIER_DENIED', { store, operation, reason }, cause)
  if (status === 501) return new BrokerError('TIER_UNFIT', { store, reason }, cause)
  if (key === undefined) return unavailable(reason)
  const isConflict = status === 412 || (status === 409 && name === 'ConditionalRequestConflict')
  if (attempt.ifAbsent === true && isConflict)
    return new BrokerError('TIER_OBJECT_EXISTS', { store, key }, cause)
  if (status === 404 && name === 'NoSuchKey')
    return new BrokerError('TIER_OBJECT_NOT_FOUND', { store, key }, cause)
  if (status === 416 && attempt.to !== undefined)
    return new BrokerError('TIER_RANGE_ILLEGAL', { store, key, to: attempt.to }, cause)
  return unavailable(reason)
}

/** What an error of the client says, whatever it lacks. */
export const told = (error: unknown) => {
  if (!(error instanceof Error)) return { name: '', status: 0, message: String(error) }
  const { $metadata: metadata } = error as { $metadata?: { httpStatusCode?: number } }
  const { code } = error as { code?: string }
  // Where several addresses were tried in vain only the code says why.
  const message = error.message || code || ''
  return { name: error.name, status: metadata?.httpStatusCode ?? 0, message }
}
