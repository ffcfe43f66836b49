import { BrokerError } from '../errors.ts'
import type { MessageType } from '../message/message.ts'
import { checkTopicName, isReservedTopic } from './names.ts'

export const topicTypes = ['NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'MIXED'] as const
export type TopicType = (typeof topicTypes)[number]

export const QUEUES_MAX = 1024
export const QUEUES_DEFAULT = 8
export const RETENTION_MS_DEFAULT = 72 * 3_600_000

export interface Retention {
  /** Messages older than this go, whether or not a group has read them. */
  readonly ageMs: number
  /** The topic's oldest messages go while it holds more than this. 0 means no limit. */
  readonly bytes: number
}

export interface TopicSettings {
  readonly type: TopicType
  readonly queues: number
  readonly retention: Retention
  /** Scheduled messages are held, however late they become, until it is resumed. */
  readonly paused?: true
}

export type TopicOptions = {
  readonly type?: TopicType
  readonly queues?: number
  readonly retention?: Partial<Retention>
  /** Holds scheduled messages; false lets them come. */
  readonly paused?: boolean
}

const refuse = (name: string, reason: string) =>
  new BrokerError('TOPIC_SETTINGS_ILLEGAL', { name, reason })

/** Fills defaults and refuses what no topic may have. */
export const topicSettingsOf = (name: string, options: TopicOptions = {}): TopicSettings => {
  checkTopicName(name)
  const { type = 'NORMAL', queues = QUEUES_DEFAULT } = options
  const { ageMs = RETENTION_MS_DEFAULT, bytes = 0 } = options.retention ?? {}
  if (!topicTypes.includes(type)) throw refuse(name, `type '${type}' is unknown`)
  if (!Number.isInteger(queues) || queues < 1 || queues > QUEUES_MAX)
    throw refuse(name, `${queues} queues, not 1 to ${QUEUES_MAX}`)
  if (!(ageMs > 0)) throw refuse(name, 'retention.ageMs is not positive')
  if (!(bytes >= 0)) throw refuse(name, 'retention.bytes is negative')
  const held = options.paused === true ? { paused: true as const } : {}
  return { type, queues, retention: { ageMs, bytes }, ...held }
}

/** A topic takes its own type, MIXED takes all, retry and dead-letter topics take anything. */
export const checkMessageType = (
  topic: { readonly name: string; readonly type: TopicType },
  messageType: MessageType,
): void => {
  if (topic.type === messageType || topic.type === 'MIXED' || isReservedTopic(topic.name)) return
  throw new BrokerError('MESSAGE_TYPE_CONFLICT', {
    topic: topic.name,
    topicType: topic.type,
    messageType,
  })
}
