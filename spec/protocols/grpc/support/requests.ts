import { bytesOf, definition, resourceOf, service } from './official.ts'

/** Requests as an official client would write them. */

const durationOf = (ms: number) => {
  const settings = definition.Settings.deserializeBinary(new Uint8Array([34, 0]))
  const duration = settings.getRequestTimeout()
  duration?.setSeconds(Math.floor(ms / 1000))
  duration?.setNanos((ms % 1000) * 1_000_000)
  return duration
}

export const aMessage = (topic: string, body: Uint8Array | string, tag?: string) => {
  const system = new definition.SystemProperties().setMessageId(`id of ${String(body).slice(0, 9)}`)
  if (tag !== undefined) system.setTag(tag)
  return new definition.Message()
    .setTopic(resourceOf(topic))
    .setBody(Buffer.from(body))
    .setSystemProperties(system)
}

export const sendRequest = (topic: string, ...bodies: (Uint8Array | string)[]) =>
  new service.SendMessageRequest().setMessagesList(bodies.map((body) => aMessage(topic, body)))

export const receiveRequest = (
  topic: string,
  {
    pollMs,
    expression = '*',
    type = definition.FilterType.TAG,
    group = 'group',
    batchSize = 32,
    invisibleMs = 15_000,
    autoRenew = false,
    queueId = 0,
    attemptId = '',
  }: {
    pollMs?: number | undefined
    expression?: string
    /** A number that is no official type is sent as it is. */
    type?: number
    group?: string
    batchSize?: number
    invisibleMs?: number | 'unsaid'
    autoRenew?: boolean
    queueId?: number
    attemptId?: string
  } = {},
) => {
  const queue = new definition.MessageQueue().setTopic(resourceOf(topic)).setId(queueId)
  const request = new service.ReceiveMessageRequest()
    .setGroup(resourceOf(group))
    .setMessageQueue(queue)
    .setFilterExpression(
      definition.FilterExpression.deserializeBinary(Uint8Array.of(8, type)).setExpression(
        expression,
      ),
    )
    .setBatchSize(batchSize)
    .setAutoRenew(autoRenew)
  if (pollMs !== undefined) request.setLongPollingTimeout(durationOf(pollMs))
  if (invisibleMs !== 'unsaid') request.setInvisibleDuration(durationOf(invisibleMs))
  if (attemptId !== '') request.setAttemptId(attemptId)
  return request
}

export const ackRequest = (topic: string, ...handles: string[]) =>
  new service.AckMessageRequest()
    .setGroup(resourceOf('group'))
    .setTopic(resourceOf(topic))
    .setEntriesList(
      handles.map((handle, index) =>
        new service.AckMessageEntry().setMessageId(`m${index}`).setReceiptHandle(handle),
      ),
    )

export const changeRequest = (topic: string, handle: string, invisibleMs: number) =>
  new service.ChangeInvisibleDurationRequest()
    .setGroup(resourceOf('group'))
    .setTopic(resourceOf(topic))
    .setReceiptHandle(handle)
    .setInvisibleDuration(durationOf(invisibleMs))

export const producerSettings = (topics: readonly string[]) =>
  new definition.Settings()
    .setClientType(definition.ClientType.PRODUCER)
    .setPublishing(
      new definition.Publishing().setTopicsList(topics.map((topic) => resourceOf(topic))),
    )
    .setRequestTimeout(durationOf(3_000))

export const consumerSettings = (group: string, topics: readonly string[]) =>
  new definition.Settings()
    .setClientType(definition.ClientType.SIMPLE_CONSUMER)
    .setSubscription(
      new definition.Subscription()
        .setGroup(resourceOf(group))
        .setSubscriptionsList(
          topics.map((topic) => new definition.SubscriptionEntry().setTopic(resourceOf(topic))),
        ),
    )
    .setRequestTimeout(durationOf(3_000))

export const settingsCommand = (settings: InstanceType<typeof definition.Settings>): Buffer =>
  bytesOf(new service.TelemetryCommand().setSettings(settings))
