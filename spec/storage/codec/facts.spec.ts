import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startPositions } from '../../../model/addressing/group.ts'
import type {
  GroupState,
  RegistryFact,
  TopicState,
} from '../../../model/addressing/registry-facts.ts'
import { topicTypes } from '../../../model/addressing/topic.ts'
import { deliveryCauses } from '../../../model/delivery/causes.ts'
import {
  type DeliveryFact,
  extensionCauses,
  pushLease,
  pushOffset,
} from '../../../model/delivery/facts.ts'
import { messageTypes } from '../../../model/message/message.ts'
import type { ScheduleState } from '../../../model/schedule/schedule-state.ts'
import { Cursor, putVarint, varintSize } from '../../../model/wire/varint.ts'
import {
  encodeDeliveryFact,
  readDeliveriesAddress,
  readDeliveryFact,
} from '../../../storage/codec/delivery-fact.ts'
import { factType } from '../../../storage/codec/fact-type.ts'
import {
  carriedPrefix,
  deadLetterPrefix,
  messageRecordSize,
  putMessage,
  readMessage,
  releasedPrefix,
  redrivePrefix,
} from '../../../storage/codec/message-fact.ts'
import { recordAt } from '../../../storage/codec/record.ts'
import { encodeRegistryFact, readRegistryFact } from '../../../storage/codec/registry-fact.ts'
import { holds } from '../../support/property.ts'
import type { TierObject } from '../../../model/tier/tier-objects.ts'

const number = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 31 }), fc.maxSafeNat())
const id = fc.integer({ min: 1, max: 2 ** 32 - 1 })
const offset = fc.integer({ min: 0, max: 2 ** 40 })
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))

const runs = fc.uniqueArray(fc.nat(200), { maxLength: 40 }).map((offsets) => {
  const flat: number[] = []
  for (const each of offsets.sort((a, b) => a - b)) pushOffset(flat, each)
  return flat
})

const leases = fc
  .uniqueArray(fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 3 })), {
    maxLength: 40,
    selector: ([each]) => each,
  })
  .map((pairs) => {
    const flat: number[] = []
    for (const [each, attempt] of pairs.sort(([a], [b]) => a - b)) pushLease(flat, each, attempt)
    return flat
  })

const unacked = fc.uniqueArray(offset, { maxLength: 20 }).chain((offsets) =>
  fc.tuple(
    ...offsets
      .sort((a, b) => a - b)
      .map((queueOffset) =>
        fc.record({
          queueOffset: fc.constant(queueOffset),
          attempt: fc.nat(1000),
          generation: fc.nat(65_535),
          invisibleUntilMs: fc.nat(2 ** 31),
          autoRenew: fc.boolean(),
          cause: fc.constantFrom(...deliveryCauses),
          epoch: fc.nat(1000),
          clientId: fc.constantFrom('', 'a', 'client-é'),
          renewals: fc.nat(255),
        }),
      ),
  ),
)

const deliveryFact: fc.Arbitrary<DeliveryFact> = fc.oneof(
  fc.record({
    type: fc.constant('leased' as const),
    invisibleUntilMs: number,
    autoRenew: fc.boolean(),
    attemptId: fc.string({ unit: 'grapheme' }),
    epoch: fc.nat(1000),
    clientId: fc.string({ unit: 'grapheme' }),
    runs: leases,
  }),
  fc.record({
    type: fc.constant('extended' as const),
    queueOffset: offset,
    attempt: fc.nat(1000),
    generation: fc.nat(65_535),
    invisibleUntilMs: number,
    cause: fc.constantFrom(...extensionCauses),
    epoch: fc.nat(1000),
  }),
  fc.record({ type: fc.constant('acked' as const), runs }),
  fc.record({ type: fc.constant('reset' as const), next: offset }),
  fc.record({
    type: fc.constant('carried' as const),
    next: offset,
    resets: fc.nat(1000),
    resetEnd: offset,
    attempts: fc.array(
      fc.record({
        attemptId: fc.string({ unit: 'grapheme' }),
        leases: fc.array(fc.nat(200), { maxLength: 6 }),
      }),
      { maxLength: 3 },
    ),
    unacked,
  }),
)

const settings = {
  type: fc.constantFrom(...topicTypes),
  queues: fc.integer({ min: 1, max: 1024 }),
  retention: fc.record({ ageMs: number, bytes: number }),
}
const status = fc.constantFrom('serving' as const, 'ending' as const, 'dropped' as const)
const text = fc.string({ unit: 'grapheme' })
const schedule: fc.Arbitrary<ScheduleState> = fc.record({
  scheduleId: offset,
  name: text,
  rule: fc.oneof(
    fc.record({ everyMs: number, fromMs: number }),
    fc.record({ cron: text, timeZone: text }),
  ),
  missed: fc.constantFrom('once' as const, 'skip' as const),
  paused: fc.boolean(),
  createdAtMs: number,
  plannedAtMs: number,
  timerId: number,
  message: fc.record({
    tag: text,
    keys: fc.array(text, { maxLength: 3 }),
    messageGroup: text,
    properties: fc.uint8Array(),
    body: fc.uint8Array(),
  }),
})
const section = fc.record({
  queueId: fc.nat(1023),
  from: offset,
  to: offset,
  firstMs: fc.nat(),
  lastMs: fc.nat(),
  indexAt: number,
  indexBytes: number,
  namesAt: number,
  namesBytes: number,
  bytes: number,
})
const object: fc.Arbitrary<TierObject> = fc.record({
  namespace: text,
  leader: fc.nat(1023),
  leaderFrom: offset,
  bytes: number,
  storedAtMs: number,
  sections: fc.array(
    section.map((some) => ({
      ...some,
      to: some.from + (some.to % 1_000),
      lastMs: some.firstMs + some.lastMs,
    })),
    { maxLength: 3 },
  ),
})
const tier = fc.record({
  namespaces: fc.array(text, { minLength: 1, maxLength: 2 }),
  objects: fc.array(object, { maxLength: 3 }),
})
const someTopic = fc.record({
  ...settings,
  topicId: id,
  name: fc.string({ unit: 'grapheme' }),
  status,
  bytes: number,
  droppedAtMs: number,
  isAutoCreated: fc.boolean(),
  bounds: fc.array(
    fc.record(
      {
        offsetMin: offset,
        offsetMax: offset,
        isOrdered: fc.boolean(),
        ended: runs.filter(({ length }) => length > 0),
      },
      { requiredKeys: ['offsetMin', 'offsetMax', 'isOrdered'] },
    ),
  ),
  schedules: fc.array(schedule, { maxLength: 2 }),
})
const topic: fc.Arbitrary<TopicState> = fc
  .tuple(someTopic, fc.option(tier, { nil: undefined }))
  .map(([some, own]) => (own ? { ...some, tier: own } : some))
const groupSettings = {
  attemptsMax: fc.nat(1000),
  startFrom: fc.constantFrom(...startPositions),
  paused: fc.boolean(),
  retry: fc.oneof(
    fc.record({ kind: fc.constant('customized' as const), stepsMs: fc.array(number) }),
    fc.record({
      kind: fc.constant('exponential' as const),
      initialMs: number,
      maxMs: number,
      multiplier: fc.integer({ min: 1_000, max: 1_000_000 }).map((each) => each / 1_000),
    }),
  ),
}
const group: fc.Arbitrary<GroupState> = fc.record({
  groupId: id,
  name: fc.string({ unit: 'grapheme' }),
  status,
  ...groupSettings,
})
const numbers = fc.array(number)
const typed = <Type extends string>(type: Type) => fc.constant(type)

const registryFact: fc.Arbitrary<RegistryFact> = fc.oneof(
  fc.record({ type: typed('topicCreated'), topic }),
  fc.record({ type: typed('topicCarried'), topic }),
  fc.record({ type: typed('topicUpdated'), topicId: id, settings: fc.record(settings) }),
  fc.record({ type: typed('topicEnded'), topicId: id }),
  fc.record({ type: typed('tierBegun'), topicId: id, namespace: text }),
  fc.record({ type: typed('tierAdded'), topicId: id, object }),
  fc.record({
    type: typed('tierExpired'),
    topicId: id,
    queueId: fc.nat(1023),
    offsetMin: offset,
    floor: offset,
  }),
  fc.record({ type: typed('tierDropped'), topicId: id }),
  fc.record({ type: typed('scheduleSet'), topicId: id, schedule }),
  fc.record({ type: typed('scheduleEnded'), topicId: id, scheduleId: offset }),
  fc.record({ type: typed('topicDropped'), topicId: id, atMs: number, freed: numbers }),
  fc.record({
    type: typed('queueTrimmed'),
    topicId: id,
    queueId: fc.nat(1023),
    offsetMin: offset,
    floor: offset,
    messages: number,
    bytes: number,
    freed: numbers,
  }),
  fc.record({ type: typed('lettersEnded'), topicId: id, queueId: fc.nat(1023), runs }),
  fc.record({ type: typed('groupCreated'), group }),
  fc.record({
    type: typed('groupUpdated'),
    groupId: id,
    settings: fc.record(groupSettings),
  }),
  fc.record({ type: typed('groupEnded'), groupId: id }),
  fc.record({ type: typed('groupDropped'), groupId: id }),
  fc.record({ type: typed('logOpened'), epoch: number, wallMs: number }),
  fc.record({ type: typed('logTrimmed'), nextOwnerId: id, gaps: numbers }),
)

const Facts = suite('fact codecs')

Facts('varints take the bytes they say, and come back', () =>
  holds(
    fc.property(number, (value) => {
      const buffer = Buffer.alloc(12)
      const end = putVarint(buffer, 1, value)
      assert.is(end - 1, varintSize(value))
      assert.is(new Cursor(buffer, 1, end).varint(), value)
    }),
    { runs: 2_000 },
  ),
)

Facts('every delivery fact comes back as it was', () =>
  holds(
    fc.property(
      fc.record({ groupId: id, topicId: id, queueId: fc.nat(1023) }),
      deliveryFact,
      (address, fact) => {
        const record = encodeDeliveryFact(address, fact)
        const { type, size, payload, version } = recordAt(record, 0, 0)
        assert.is(size, record.length)
        assert.equal(readDeliveriesAddress(payload), structuredClone(address))
        assert.equal(readDeliveryFact(type, payload, version), structuredClone(fact))
        assert.ok(payload.done)
      },
    ),
    { runs: 1_000 },
  ),
)

Facts('every registry fact comes back as it was', () =>
  holds(
    fc.property(registryFact, (fact) => {
      const record = encodeRegistryFact(fact)
      const { type, size, payload, version } = recordAt(record, 0, 0)
      assert.is(size, record.length)
      assert.equal(readRegistryFact(type, payload, version), structuredClone(fact))
      assert.ok(payload.done)
    }),
    { runs: 1_000 },
  ),
)

Facts('a topic of the first version has no ended messages', () => {
  const written = '140a01050174000280a8cc7b000000000001030900'
  const { payload, type, version } = recordAt(Buffer.from(written, 'hex'), 0, 0)
  const fact = readRegistryFact(type, payload, version)
  assert.ok(fact?.type === 'topicCreated' && payload.done)
  assert.equal(fact.topic.bounds, [{ offsetMin: 3, offsetMax: 9, isOrdered: false }])
})

Facts('every message comes back as it was, however it came', () =>
  holds(
    fc.property(
      fc.record({
        topicId: id,
        queueId: fc.nat(1023),
        queueOffset: offset,
        storeAtMs: fc.integer({ min: 0, max: 2 ** 47 }),
      }),
      fc.record({
        type: fc.constantFrom(...messageTypes),
        tagsCode: fc.nat(2 ** 32 - 1),
        groupHash: fc.nat(2 ** 32 - 1),
        system: bytes,
        properties: bytes,
        body: bytes,
      }),
      fc.constantFrom('appended', 'carried', 'deadLettered', 'fired', 'committed', 'redriven'),
      fc.nat(50),
      (place, content, kind, at) => {
        const carriedFrom = kind === 'carried' ? { chunk: 5, size: 900 } : undefined
        const ends =
          kind === 'deadLettered'
            ? { groupId: 1, topicId: 2, queueId: 3, queueOffset: 4 }
            : undefined
        const released = { id: 6, dueMs: 2 ** 41, chunk: 7, size: 300 }
        const releases =
          kind === 'fired'
            ? { ...released, kind: 'timer' }
            : kind === 'committed'
              ? { ...released, kind: 'transaction' }
              : undefined
        const releasedType = kind === 'fired' ? factType.timerFired : factType.transactionCommitted
        const endsLetter =
          kind === 'redriven' ? { topicId: 2, queueId: 3, queueOffset: 4 } : undefined
        const [type, prefix] = carriedFrom
          ? [factType.messageCarried, carriedPrefix(carriedFrom)]
          : ends
            ? [factType.messageDeadLettered, deadLetterPrefix(ends)]
            : releases
              ? [releasedType, releasedPrefix(released)]
              : endsLetter
                ? [factType.messageRedriven, redrivePrefix(endsLetter)]
                : [factType.messageAppended, []]
        const size = messageRecordSize(place, content, prefix)
        const chunk = Buffer.alloc(at + size + 7, 0xee)
        putMessage(chunk, at, place, content, { type, prefix })
        const record = recordAt(chunk, 0, at)
        assert.is(record.size, size)
        const fact = readMessage(record.type, record.payload)
        assert.equal(fact, { ...place, ...content, carriedFrom, ends, releases, endsLetter })
        assert.ok(
          chunk.subarray(0, at).every((byte) => byte === 0xee),
          'wrote before its place',
        )
        assert.ok(
          chunk.subarray(at + size).every((byte) => byte === 0xee),
          'wrote behind it',
        )
      },
    ),
    { runs: 500 },
  ),
)

Facts('a single acknowledgement takes 24 bytes at most, a batch 3 a message at most', () => {
  const address = { groupId: 20_000, topicId: 20_000, queueId: 1023 }
  const far = 2 ** 40
  const one = encodeDeliveryFact(address, { type: 'acked', runs: [far, 1] })
  assert.ok(one.length <= 24, `${one.length} bytes for one`)
  const lease = {
    type: 'leased',
    invisibleUntilMs: 1.8e12,
    autoRenew: true,
    attemptId: '',
    epoch: 3,
    clientId: '',
  } as const
  const batch = encodeDeliveryFact(address, { ...lease, runs: [far, 32, 1] })
  assert.ok(batch.length <= 32 * 3, `${batch.length} bytes for 32`)
  const acks = encodeDeliveryFact(address, { type: 'acked', runs: [far, 32] })
  assert.ok(acks.length <= 32 * 3)
})

Facts.run()
