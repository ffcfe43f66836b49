import { checkGroupName, checkTopicName } from '../../../model/addressing/names.ts'
import { type GroupSettings, groupDefaults } from '../../../model/addressing/group.ts'
import { deliveryLimits } from '../../../model/delivery/limits.ts'
import { retryDelayMs } from '../../../model/delivery/retry-policy.ts'
import { BrokerError } from '../../../model/errors.ts'
import { messageLimits } from '../../../model/message/rules.ts'
import type { SessionRole } from '../../../model/ports.ts'
import type { Door } from '../context.ts'
import { nameOf } from '../wire/common.ts'
import { languages, type RetryPolicy, type Settings } from '../wire/telemetry.ts'
import { roleOf } from './heartbeat.ts'

/** What a client says about itself, checked, and what it is told in return (RocketMQ gRPC 5). */

const SECOND = 1_000
/** Of an exponential policy, for clients that know steps only. */
const STEPS = 18

const clientPropertyLimits = { entries: 32, valueLength: 256, bytes: 4_096 } as const
const CLIENT_PROPERTY_KEY = /^[a-zA-Z][a-zA-Z0-9_.-]{0,63}$/

/** Attempts of one send. Without the exponential kind Node's process dies and Java starts not. */
const producerBackoff: RetryPolicy = {
  maxAttempts: 3,
  exponential: { initial: 10, max: SECOND, multiplier: 2 },
  customized: undefined,
}

/**
 * The group's policy, in a kind that the client understands. Java and Go take either, Python only
 * the customized one, Node only the exponential one: without it, it refuses with a delay of 0 and
 * sends a FIFO message to the dead letters after one attempt. Node reads these seconds as
 * milliseconds: a first step of 1 fits both readings.
 */
const consumerBackoff = ({ attemptsMax, retry }: GroupSettings, language: number): RetryPolicy => {
  const isExponential = retry.kind === 'exponential'
  if (language === languages.nodeJs || (isExponential && language !== languages.python))
    return {
      maxAttempts: attemptsMax,
      exponential: isExponential
        ? { initial: retry.initialMs, max: retry.maxMs, multiplier: retry.multiplier }
        : { initial: retryDelayMs(retry, 1), max: Math.max(...retry.stepsMs), multiplier: 2 },
      customized: undefined,
    }
  const steps = Array.from({ length: STEPS }, (_, step) => retryDelayMs(retry, step + 1))
  const next = isExponential ? steps : retry.stepsMs
  return { maxAttempts: attemptsMax, exponential: undefined, customized: { next } }
}

export const topicsOf = ({ publishing, subscription }: Settings): readonly string[] =>
  (publishing?.topics ?? subscription?.subscriptions.map(({ topic }) => topic) ?? []).map(nameOf)

const checkClientProperties = ({ clientProperties }: Settings): void => {
  const refuse = (reason: string) => new BrokerError('CLIENT_PROPERTIES_INVALID', { reason })
  const { entries, valueLength, bytes } = clientPropertyLimits
  if (clientProperties.length > entries) throw refuse(`more than ${entries} entries`)
  let size = 0
  for (const { key, value } of clientProperties) {
    if (!CLIENT_PROPERTY_KEY.test(key)) throw refuse(`key '${key}' is illegal`)
    if (key.startsWith('rocketmq.')) throw refuse(`key '${key}' is reserved`)
    if (value.length > valueLength) throw refuse(`value of '${key}' is too long`)
    size += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (size > bytes) throw refuse(`more than ${bytes} bytes`)
}

/** Refuses settings that no client may have; says on which side the client is. */
export const checkSettings = (settings: Settings): SessionRole => {
  const { publishing, subscription, clientType = 0 } = settings
  if (publishing === undefined && subscription === undefined)
    throw new BrokerError('CLIENT_SETTINGS_INVALID', {
      reason: 'the settings are neither of a producer nor of a consumer',
    })
  const group = nameOf(subscription?.group)
  roleOf(clientType, group)
  topicsOf(settings).forEach(checkTopicName)
  if (publishing === undefined) checkGroupName(group)
  checkClientProperties(settings)
  return publishing === undefined ? 'consumer' : 'producer'
}

/**
 * RocketMQ makes "consume in order" a property of the group. Groups here have none: order is the
 * message group's, kept by the broker. So a client is told to consume one by one if it says so
 * itself, or if every topic it subscribes is a FIFO topic.
 */
const isFifo = ({ broker }: Door, settings: Settings): boolean => {
  const topics = topicsOf(settings)
  return (
    settings.subscription?.fifo === true ||
    (topics.length > 0 && topics.every((name) => broker.topics.find(name)?.type === 'FIFO'))
  )
}

/** The client's settings with the server's merged in, of the same kind; all the rest echoed. */
export const mergedSettings = (door: Door, settings: Settings): Settings => {
  const { publishing, subscription, userAgent } = settings
  const metric = { on: false, endpoints: undefined }
  if (publishing !== undefined)
    return {
      ...settings,
      metric,
      backoffPolicy: producerBackoff,
      publishing: {
        ...publishing,
        maxBodySize: messageLimits.bodyBytesMax,
        validateMessageType: true,
      },
      subscription: undefined,
    }
  if (subscription === undefined) return { ...settings, metric }
  const group = door.broker.groups.find(nameOf(subscription.group)) ?? groupDefaults
  return {
    ...settings,
    metric,
    backoffPolicy: consumerBackoff(group, userAgent?.language ?? 0),
    subscription: {
      ...subscription,
      fifo: isFifo(door, settings),
      receiveBatchSize: deliveryLimits.batchMax,
      longPollingMs: door.longPollingMs,
    },
  }
}
