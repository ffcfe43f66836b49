/** True when no room is left on the medium, however deep the store has wrapped that. */
export const isDiskFull = (error: unknown): boolean => {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    if (/ENOSPC|No space left/i.test(`${cause.message} ${(cause as { code?: string }).code}`))
      return true
  return false
}
