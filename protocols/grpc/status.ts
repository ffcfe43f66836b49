import { type BrokerError, type BrokerErrorCode, isBrokerError } from '../../model/errors.ts'
import type { Logger } from '../../model/ports.ts'
import { OK, type Status } from './wire/common.ts'

/** The codes of `apache.rocketmq.v2.Code` that this door gives (RocketMQ gRPC 8). */
export const codes = {
  OK: 20000,
  MULTIPLE_RESULTS: 30000,
  BAD_REQUEST: 40000,
  ILLEGAL_TOPIC: 40002,
  ILLEGAL_CONSUMER_GROUP: 40003,
  ILLEGAL_MESSAGE_TAG: 40004,
  ILLEGAL_MESSAGE_KEY: 40005,
  ILLEGAL_MESSAGE_GROUP: 40006,
  ILLEGAL_MESSAGE_PROPERTY_KEY: 40007,
  INVALID_TRANSACTION_ID: 40008,
  ILLEGAL_MESSAGE_ID: 40009,
  ILLEGAL_FILTER_EXPRESSION: 40010,
  ILLEGAL_INVISIBLE_TIME: 40011,
  ILLEGAL_DELIVERY_TIME: 40012,
  INVALID_RECEIPT_HANDLE: 40013,
  MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: 40014,
  MESSAGE_CORRUPTED: 40016,
  CLIENT_ID_REQUIRED: 40017,
  ILLEGAL_POLLING_TIME: 40018,
  INVALID_CLIENT_PROPERTIES: 40021,
  MESSAGE_NOT_FOUND: 40401,
  TOPIC_NOT_FOUND: 40402,
  CONSUMER_GROUP_NOT_FOUND: 40403,
  MESSAGE_BODY_TOO_LARGE: 41301,
  MESSAGE_BODY_EMPTY: 41302,
  TOO_MANY_REQUESTS: 42900,
  MESSAGE_PROPERTIES_TOO_LARGE: 43101,
  INTERNAL_SERVER_ERROR: 50001,
  NOT_IMPLEMENTED: 50100,
  MASTER_PERSISTENCE_TIMEOUT: 50401,
} as const

export type CodeName = keyof typeof codes

/** Exhaustive: a new error does not compile until this wire knows it. */
const codeNames: Readonly<Record<BrokerErrorCode, CodeName>> = {
  TOPIC_NAME_ILLEGAL: 'ILLEGAL_TOPIC',
  GROUP_NAME_ILLEGAL: 'ILLEGAL_CONSUMER_GROUP',
  TOPIC_NOT_FOUND: 'TOPIC_NOT_FOUND',
  TOPIC_EXISTS: 'BAD_REQUEST',
  TOPIC_SETTINGS_ILLEGAL: 'BAD_REQUEST',
  TOPICS_TOO_MANY: 'TOO_MANY_REQUESTS',
  GROUP_NOT_FOUND: 'CONSUMER_GROUP_NOT_FOUND',
  GROUP_SETTINGS_ILLEGAL: 'BAD_REQUEST',
  OFFSET_RESET_ILLEGAL: 'BAD_REQUEST',
  MESSAGE_NOT_FOUND: 'MESSAGE_NOT_FOUND',
  MESSAGE_INDEX_BEHIND: 'TOO_MANY_REQUESTS',
  MESSAGE_TYPE_CONFLICT: 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE',
  MESSAGE_BODY_EMPTY: 'MESSAGE_BODY_EMPTY',
  MESSAGE_BODY_TOO_LARGE: 'MESSAGE_BODY_TOO_LARGE',
  MESSAGE_PROPERTIES_TOO_LARGE: 'MESSAGE_PROPERTIES_TOO_LARGE',
  MESSAGE_PROPERTY_KEY_ILLEGAL: 'ILLEGAL_MESSAGE_PROPERTY_KEY',
  MESSAGE_TAG_ILLEGAL: 'ILLEGAL_MESSAGE_TAG',
  MESSAGE_KEY_ILLEGAL: 'ILLEGAL_MESSAGE_KEY',
  MESSAGE_ID_ILLEGAL: 'ILLEGAL_MESSAGE_ID',
  MESSAGE_GROUP_ILLEGAL: 'ILLEGAL_MESSAGE_GROUP',
  MESSAGE_CORRUPTED: 'MESSAGE_CORRUPTED',
  DELIVERY_TIME_ILLEGAL: 'ILLEGAL_DELIVERY_TIME',
  DURATION_ILLEGAL: 'BAD_REQUEST',
  TIMER_NOT_FOUND: 'MESSAGE_NOT_FOUND',
  RECALL_REFUSED: 'INTERNAL_SERVER_ERROR',
  TRANSACTION_NOT_FOUND: 'INTERNAL_SERVER_ERROR',
  TRANSACTION_ID_INVALID: 'INVALID_TRANSACTION_ID',
  TRANSACTION_RECOVERY_TOO_LONG: 'BAD_REQUEST',
  FILTER_ILLEGAL: 'ILLEGAL_FILTER_EXPRESSION',
  INVISIBLE_DURATION_ILLEGAL: 'ILLEGAL_INVISIBLE_TIME',
  POLLING_TIME_ILLEGAL: 'ILLEGAL_POLLING_TIME',
  RECEIPT_HANDLE_INVALID: 'INVALID_RECEIPT_HANDLE',
  RECEIPT_HANDLE_EXPIRED: 'INVALID_RECEIPT_HANDLE',
  CLIENT_ID_REQUIRED: 'CLIENT_ID_REQUIRED',
  CLIENT_SETTINGS_INVALID: 'BAD_REQUEST',
  CLIENT_PROPERTIES_INVALID: 'INVALID_CLIENT_PROPERTIES',
  THROTTLED: 'TOO_MANY_REQUESTS',
  DISK_FULL: 'TOO_MANY_REQUESTS',
  STORE_UNAVAILABLE: 'INTERNAL_SERVER_ERROR',
  OUTCOME_UNKNOWN: 'MASTER_PERSISTENCE_TIMEOUT',
  BROKER_CLOSED: 'INTERNAL_SERVER_ERROR',
  TOPIC_ENDING: 'TOPIC_NOT_FOUND',
  GROUP_ENDING: 'CONSUMER_GROUP_NOT_FOUND',
  CORRUPT: 'INTERNAL_SERVER_ERROR',
  DATA_FORMAT_UNKNOWN: 'INTERNAL_SERVER_ERROR',
  DATA_DIR_LOCKED: 'INTERNAL_SERVER_ERROR',
  ADDRESS_IN_USE: 'BAD_REQUEST',
  SETTINGS_ILLEGAL: 'BAD_REQUEST',
  REQUEST_ILLEGAL: 'BAD_REQUEST',
  REQUEST_TOO_LARGE: 'BAD_REQUEST',
  ROUTE_NOT_FOUND: 'BAD_REQUEST',
  TOKEN_REQUIRED: 'BAD_REQUEST',
  HOST_NOT_ALLOWED: 'BAD_REQUEST',
  INTERNAL: 'INTERNAL_SERVER_ERROR',
  SETTINGS_REFUSED: 'BAD_REQUEST',
  NOT_BUILT: 'NOT_IMPLEMENTED',
}

/** An aggregate says its code's name: clients' own suites match these texts (RocketMQ gRPC 1). */
export const named = (name: CodeName): Status => ({ code: codes[name], message: name })

export { OK }

/** A refusal says the sentence of its error. */
export const refused = (error: BrokerError): Status => ({
  code: codes[codeNames[error.code]],
  message: error.message,
})

/** The status of anything thrown. What is not a refusal is a defect: logged, and not told. */
export const statusOf = (error: unknown, logger: Logger, operation: string): Status => {
  if (isBrokerError(error)) return refused(error)
  logger.error({ operation, error }, 'a gRPC operation failed unexpectedly')
  return {
    code: codes.INTERNAL_SERVER_ERROR,
    message: `${operation} failed; the broker's log says why`,
  }
}

/**
 * All equal gives that code, different ones MULTIPLE_RESULTS, none an error (RocketMQ gRPC 4.6).
 */
export const aggregateOf = (statuses: readonly Status[]): Status => {
  const [first] = statuses
  if (first === undefined) return named('INTERNAL_SERVER_ERROR')
  if (first === OK && statuses.length === 1) return OK
  if (statuses.some(({ code }) => code !== first.code)) return named('MULTIPLE_RESULTS')
  return { code: first.code, message: nameOfCode.get(first.code) ?? first.message }
}

const nameOfCode: ReadonlyMap<number, string> = new Map(
  Object.entries(codes).map(([name, code]) => [code, name]),
)
