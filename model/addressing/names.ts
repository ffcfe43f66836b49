import { BrokerError } from '../errors.ts'

const TOPIC_LENGTH_MAX = 127
const GROUP_LENGTH_MAX = 120
const LEGAL = /^[%|a-zA-Z0-9_-]+$/

/** RocketMQ's own topics: no client may create or use them (`rocketmq-core` 1.12). */
const systemTopics: ReadonlySet<string> = new Set([
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'RMQ_SYS_TRACE_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
  'CHECKPOINT_TOPIC',
])

const DEAD_LETTER_PREFIX = '%DLQ%'
const RETRY_PREFIX = '%RETRY%'

const nameProblem = (name: string, lengthMax: number): string | undefined => {
  if (name.trim() === '') return 'it is blank'
  if (name.length > lengthMax) return `it is longer than ${lengthMax} characters`
  if (!LEGAL.test(name)) return 'it has characters other than a-z A-Z 0-9 _ - % |'
  return undefined
}

/** Refuses a topic name by the rules and limits of the gRPC proxy. Returns it unchanged. */
export const checkTopicName = (name: string): string => {
  const problem =
    nameProblem(name, TOPIC_LENGTH_MAX) ??
    (systemTopics.has(name) || name.startsWith('rmq_sys_') ? 'it is a system topic' : undefined)
  if (problem !== undefined) throw new BrokerError('TOPIC_NAME_ILLEGAL', { name, reason: problem })
  return name
}

/** Refuses a consumer group name by the rules and limits of the gRPC proxy. */
export const checkGroupName = (name: string): string => {
  const problem =
    nameProblem(name, GROUP_LENGTH_MAX) ??
    (name.startsWith('CID_RMQ_SYS_') ? 'the prefix CID_RMQ_SYS_ is reserved' : undefined)
  if (problem !== undefined) throw new BrokerError('GROUP_NAME_ILLEGAL', { name, reason: problem })
  return name
}

/** Where messages of a group go that used up their attempts. */
export const deadLetterTopicOf = (group: string): string => `${DEAD_LETTER_PREFIX}${group}`

/** Retry and dead-letter topics take every message type and are never auto-created by a client. */
export const isReservedTopic = (topic: string): boolean =>
  topic.startsWith(DEAD_LETTER_PREFIX) || topic.startsWith(RETRY_PREFIX)
