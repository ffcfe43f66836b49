import { HTTPException } from 'hono/http-exception'
import { z } from '@hono/zod-openapi'
import {
  BrokerError,
  type BrokerErrorCode,
  type ErrorKind,
  isBrokerError,
} from '../../model/errors.ts'

type RefusalStatus = 400 | 401 | 404 | 409 | 413 | 429 | 500 | 501 | 503 | 504

/** Exhaustive: a new kind of error does not compile until this door knows it. */
const statusOfKind: Readonly<Record<ErrorKind, RefusalStatus>> = {
  invalid: 400,
  denied: 401,
  notFound: 404,
  conflict: 409,
  throttled: 429,
  unsupported: 501,
  unavailable: 503,
  corrupt: 500,
  defect: 500,
}

/** Where HTTP can say more than the kind does. */
const statusOfCode: Partial<Record<BrokerErrorCode, RefusalStatus>> = {
  REQUEST_TOO_LARGE: 413,
  MESSAGE_BODY_TOO_LARGE: 413,
  OUTCOME_UNKNOWN: 504,
}

export const RefusalBody = z
  .object({
    code: z.string().openapi({ example: 'TOPIC_NOT_FOUND' }),
    message: z.string().openapi({ example: "topic 'orders' does not exist" }),
    remedy: z.string().openapi({ example: 'Create the topic first.' }),
  })
  .openapi('Refusal', {
    description: 'What was refused, and what to do: `glasspost explain CODE`.',
  })

/** Seconds after which a throttled or unlucky caller may try again. */
const RETRY_AFTER_S = 1

/** What the caller is told: the sentence and the remedy of the catalogue, never a stack. */
export const refusalOf = (error: BrokerError): Response => {
  const { code, kind, message, remedy } = error
  const headers = new Headers({ 'cache-control': 'no-store' })
  if (kind === 'denied') headers.set('www-authenticate', 'Bearer realm="glasspost"')
  if (kind === 'throttled' || kind === 'unavailable')
    headers.set('retry-after', String(RETRY_AFTER_S))
  const status = statusOfCode[code] ?? statusOfKind[kind]
  return Response.json({ code, message, remedy }, { status, headers })
}

/** Anything thrown, as one of the catalogue. */
export const brokerErrorOf = (error: unknown): BrokerError => {
  if (isBrokerError(error)) return error
  if (error instanceof HTTPException)
    return error.status === 413
      ? new BrokerError('REQUEST_TOO_LARGE', { what: 'body' })
      : new BrokerError('REQUEST_ILLEGAL', { reason: error.message }, { cause: error })
  return new BrokerError('INTERNAL', { operation: 'the request' }, { cause: error })
}
