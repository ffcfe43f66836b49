import fc from 'fast-check'

/** Values of the messages that many others contain, in our shapes. */

export const aName = fc.string({ unit: 'grapheme', maxLength: 8 })
export const anInt32 = fc.integer()
export const anInt64 = fc.integer({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1 })
export const aMs = fc.integer({ min: 0, max: 2 ** 45 })
/** Plain objects, so that they compare with what decoders make. */
export const record = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record<T>(shape, { noNullPrototype: true })
export const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
export const list = <T>(value: fc.Arbitrary<T>) => fc.array(value, { maxLength: 3 })

export const aResource = record({ namespace: aName, name: aName })
export const anEndpoints = record({
  scheme: fc.nat(3),
  addresses: list(record({ host: aName, port: anInt32 })),
})
export const aStatus = record({ code: anInt32, message: aName })
export const aQueue = record({
  topic: maybe(aResource),
  id: anInt32,
  permission: fc.nat(4),
  broker: maybe(record({ name: aName, id: anInt32, endpoints: maybe(anEndpoints) })),
  acceptMessageTypes: list(fc.nat(6)),
})
export const aFilter = record({ type: fc.nat(2), expression: aName })
export const aBackoff = record({
  maxAttempts: anInt32,
  exponential: maybe(
    record({ initial: maybe(aMs), max: maybe(aMs), multiplier: fc.constantFrom(0, 1.5, 2) }),
  ),
  customized: fc.constant(undefined),
})
export const aSubscription = record({
  group: maybe(aResource),
  subscriptions: list(record({ topic: maybe(aResource), expression: maybe(aFilter) })),
  fifo: maybe(fc.boolean()),
  receiveBatchSize: maybe(anInt32),
  longPollingMs: maybe(aMs),
  liteSubscriptionQuota: maybe(anInt32),
  liteTopicSizeMax: maybe(anInt32),
})
export const aSettings = record({
  clientType: maybe(fc.nat(6)),
  accessPoint: maybe(anEndpoints),
  backoffPolicy: maybe(aBackoff),
  requestTimeoutMs: maybe(aMs),
  publishing: fc.constant(undefined),
  subscription: maybe(aSubscription),
  userAgent: maybe(
    record({ language: fc.nat(12), version: aName, platform: aName, hostname: aName }),
  ),
  metric: maybe(record({ on: fc.boolean(), endpoints: maybe(anEndpoints) })),
  clientProperties: fc.constant([]),
})
export const aPublishing = record({
  topics: list(aResource),
  maxBodySize: anInt32,
  validateMessageType: fc.boolean(),
})
