import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError } from '../../../model/errors.ts'
import { ackMessageRequest } from '../../../protocols/grpc/wire/deliveries.ts'
import type { Codec } from '../../../protocols/grpc/wire/fields.ts'
import { decoded } from '../../../protocols/grpc/wire/primitives.ts'
import { queryRouteRequest, queryRouteResponse } from '../../../protocols/grpc/wire/routes.ts'
import { settings, telemetryCommand } from '../../../protocols/grpc/wire/telemetry.ts'
import { holds } from '../../support/property.ts'
import { bytesOf, definition, service } from './support/official.ts'
import { type Pair, pairs } from './support/wire-pairs.ts'

const Wire = suite('the declarative codec')

/** Values by the names of the proto: our tables use them too, or say which name they use. */
type Value = string | number | boolean | undefined | readonly Value[] | { [name: string]: Value }

const renamed: Readonly<Record<string, string>> = {
  namespace: 'resourceNamespace',
  addresses: 'addressesList',
  acceptMessageTypes: 'acceptMessageTypesList',
  messageQueues: 'messageQueuesList',
  assignments: 'assignmentsList',
  entries: 'entriesList',
  topics: 'topicsList',
  subscriptions: 'subscriptionsList',
  exponential: 'exponentialBackoff',
  requestTimeoutMs: 'requestTimeout',
  longPollingMs: 'longPollingTimeout',
  invisibleMs: 'invisibleDuration',
  deliveryAtMs: 'deliveryTimestamp',
  liteTopicSizeMax: 'maxLiteTopicSize',
  filter: 'filterExpression',
}
const inMs = new Set([
  'requestTimeoutMs',
  'longPollingMs',
  'invisibleMs',
  'deliveryAtMs',
  'initial',
  'max',
])

/** Our value as the official `toObject()` would show it, without what is absent. */
const officialView = (value: Value, name = ''): unknown => {
  if (typeof value === 'number' && inMs.has(name))
    return { seconds: Math.floor(value / 1000), nanos: (value % 1000) * 1_000_000 }
  if (Array.isArray(value)) return value.map((element: Value) => officialView(element))
  if (typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, field]) => field !== undefined && key !== 'clientProperties')
      .map(([key, field]) => [renamed[key] ?? key, officialView(field, key)]),
  )
}

/** The official object restricted to what our view names: they show defaults for absent fields. */
const restricted = (object: unknown, view: unknown): unknown => {
  if (Array.isArray(view) && Array.isArray(object))
    return object.map((element, index) => restricted(element, view[index]))
  if (typeof view !== 'object' || view === null || typeof object !== 'object' || object === null)
    return object
  return Object.fromEntries(
    Object.entries(view).map(([key, field]) => [
      key,
      restricted((object as Record<string, unknown>)[key], field),
    ]),
  )
}

for (const { name, codec, official, values } of pairs)
  Wire(`${name} means the same to us and to the official classes`, () =>
    holds(
      fc.property(values, (value) => {
        const ours = codec.encode(value as never)
        const theirs = official.deserializeBinary(ours)
        const view = officialView(value as Value)
        assert.equal(restricted(theirs.toObject(), view), view)
        assert.equal(codec.decode(bytesOf(theirs)), value)
      }),
    ),
  )

Wire('skips fields that it does not know, and all but settings of a telemetry command', () => {
  const command = new service.TelemetryCommand().setVerifyMessageCommand(
    new service.VerifyMessageCommand().setNonce('the wrong oneof, as Node answers'),
  )
  assert.equal(telemetryCommand.decode(bytesOf(command)), {
    status: undefined,
    settings: undefined,
    check: undefined,
  })
})

Wire('merges a sub-message that comes in pieces', () => {
  const half = (resource: InstanceType<typeof definition.Resource>) =>
    bytesOf(new service.QueryRouteRequest().setTopic(resource))
  const [namespace, name] = ['space', 'orders']
  const bytes = Buffer.concat([
    half(new definition.Resource().setName('first')),
    half(new definition.Resource().setResourceNamespace(namespace)),
    half(new definition.Resource().setName(name)),
  ])
  assert.equal(queryRouteRequest.decode(bytes).topic, { namespace, name })
})

Wire('reads repeated numbers packed or not', () => {
  const unpacked = Buffer.from([0x28, 1, 0x28, 4])
  const queue = Buffer.concat([Buffer.from([0x12, unpacked.length]), unpacked])
  assert.equal(queryRouteResponse.decode(queue).messageQueues[0]?.acceptMessageTypes, [1, 4])
})

Wire('reads a client’s properties', () => {
  const entry = Buffer.from([0x0a, 1, 0x6b, 0x12, 1, 0x76])
  const bytes = Buffer.concat([Buffer.from([0x4a, entry.length]), entry])
  assert.equal(settings.decode(bytes).clientProperties, [{ key: 'k', value: 'v' }])
})

const refuses = (codec: Codec<never>, bytes: Uint8Array) => {
  try {
    decoded((raw) => codec.decode(raw), Buffer.from(bytes))
    return 'accepted'
  } catch (error) {
    assert.instance(error, BrokerError)
    return (error as BrokerError).code
  }
}

Wire('refuses what is malformed with a code', () => {
  const bad: readonly (readonly number[])[] = [
    [0x0a],
    [0x0a, 5, 1],
    [0x00, 0x00],
    [0x02, 0x00],
    [0x0b],
    [0x8a, 0x00, 0x00],
    [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    [0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
  ]
  const { codec } = pairs.find(({ name }) => name === 'HeartbeatRequest') as Pair
  for (const bytes of bad)
    assert.is(refuses(codec, Uint8Array.from(bytes)), 'MESSAGE_CORRUPTED', bytes.join(' '))
})

Wire('refuses a part that reaches beyond what holds it', () => {
  // Endpoints of two bytes with an address of four, which would swallow the field behind them.
  const bytes = Uint8Array.of(0x12, 2, 0x12, 4, 0x0a, 2, 0x12, 0)
  assert.is(refuses(queryRouteRequest as unknown as Codec<never>, bytes), 'MESSAGE_CORRUPTED')
})

Wire('refuses lists so long that their objects would fill the memory', () => {
  const codec = ackMessageRequest as unknown as Codec<never>
  const entries = (count: number) => Buffer.alloc(2 * count, Buffer.from([0x1a, 0]))
  assert.is(refuses(codec, entries(10_000)), 'accepted')
  assert.is(refuses(codec, entries(10_001)), 'MESSAGE_CORRUPTED')
})

Wire('never fails on any bytes otherwise than with a code', () =>
  holds(
    fc.property(
      fc.constantFrom(...pairs),
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(),
      ({ codec, values }, noise, seed) => {
        refuses(codec, noise)
        const [value] = fc.sample(values, { numRuns: 1, seed })
        const bytes = codec.encode(value as never)
        noise.forEach((byte, index) => {
          if (bytes.length > 0) bytes[(byte * 31 + index * 17) % bytes.length] = byte
        })
        refuses(codec, bytes)
      },
    ),
    { runs: 3_000 },
  ),
)

Wire.run()
