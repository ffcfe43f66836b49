import {
  type FilterExpression,
  Producer,
  PushConsumer,
  quiet,
  SimpleConsumer,
} from '../protocols/grpc/support/official-client.ts'

type Listener = ConstructorParameters<typeof PushConsumer>[0]['messageListener']

type Checker = NonNullable<ConstructorParameters<typeof Producer>[0]['checker']>

export interface Subscription {
  readonly topic: string
  readonly group?: string
  /** Tags, or SQL92. */
  readonly expression?: string | FilterExpression
}

/** The official Node client, started. Its own retries are off unless asked for. */
export const startProducer = async (
  endpoints: string,
  options: { topics: string[]; maxAttempts?: number; requestTimeout?: number; checker?: Checker },
): Promise<Producer> => {
  const defaults = { endpoints, namespace: '', logger: quiet, maxAttempts: 1 }
  const producer = new Producer({ ...defaults, ...options })
  await producer.startup()
  return producer
}

export const startConsumer = async (
  endpoints: string,
  { topic, group = 'group', expression = '*' }: Subscription,
  awaitDuration = 5_000,
): Promise<SimpleConsumer> => {
  const consumer = new SimpleConsumer({
    endpoints,
    namespace: '',
    logger: quiet,
    consumerGroup: group,
    subscriptions: new Map([[topic, expression]]),
    awaitDuration,
    maxRetryAttempts: 1,
  })
  await consumer.startup()
  return consumer
}

export const startPushConsumer = async (
  endpoints: string,
  { topic, group = 'group', expression = '*' }: Subscription,
  consume: Listener['consume'],
): Promise<PushConsumer> => {
  const consumer = new PushConsumer({
    endpoints,
    namespace: '',
    logger: quiet,
    consumerGroup: group,
    subscriptions: new Map([[topic, expression]]),
    messageListener: { consume },
  })
  await consumer.startup()
  return consumer
}

/**
 * For a suite's `after`, where brokers ended before their clients: the official client goes on
 * dialling for ever, and its process would never end by itself.
 */
export const leaveClientsBehind = (): void => {
  setTimeout(() => process.exit(), 1_000).unref()
}
