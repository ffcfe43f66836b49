import { BrokerError } from '../../model/errors.ts'

/**
 * Lends a stream to one request at a time. The first part is taken at once, so that a failure to
 * begin is an answer and not a stream that breaks off. Whoever reads no further gives it back.
 */
export const oneAtATime = <Part, Asked extends readonly unknown[]>(
  what: string,
  begin: (...asked: Asked) => AsyncGenerator<Part>,
) => {
  let isLent = false
  return async (...asked: Asked): Promise<AsyncIterableIterator<Part>> => {
    if (isLent) throw new BrokerError('THROTTLED', { reason: `${what} is under way` })
    isLent = true
    const giveBack = (): void => {
      isLent = false
    }
    const stream = begin(...asked)
    let first: IteratorResult<Part> | undefined = await stream.next().catch((error: unknown) => {
      giveBack()
      throw error
    })
    const lent: AsyncIterableIterator<Part> = {
      [Symbol.asyncIterator]: () => lent,
      next: async () => {
        const held = first
        first = undefined
        const step = held ?? (await stream.next().catch(stop))
        if (step.done === true) giveBack()
        return step
      },
      return: async () => {
        await stream.return(undefined).finally(giveBack)
        return { done: true, value: undefined }
      },
    }
    const stop = (error: unknown): never => {
      giveBack()
      throw error
    }
    return lent
  }
}
