import { type GroupSettings, groupDefaults, startPositions } from '../../model/addressing/group.ts'
import type {
  GroupState,
  OwnerStatus,
  QueueBounds,
  RegistryFact,
  TopicState,
} from '../../model/addressing/registry-facts.ts'
import { type TopicSettings, topicTypes } from '../../model/addressing/topic.ts'
import type { RetryPolicy } from '../../model/delivery/retry-policy.ts'
import type { Cursor } from '../../model/wire/varint.ts'
import { factType } from './fact-type.ts'
import { encodeFields, type Field, readText } from './fields.ts'
import { objectFields, readObject, readTier, tierFields } from './tier-fields.ts'
import { readSchedule, scheduleFields } from './schedule-fields.ts'

const statuses = ['serving', 'ending', 'dropped'] as const satisfies readonly OwnerStatus[]

const settingsFields = ({ type, queues, retention, paused }: TopicSettings): Field[] => [
  topicTypes.indexOf(type),
  queues,
  Math.min(retention.ageMs, Number.MAX_SAFE_INTEGER),
  retention.bytes,
  paused ? 1 : 0,
]

const readSettings = (payload: Cursor, hasPaused: boolean): TopicSettings => {
  const settings = {
    type: topicTypes[payload.varint()] ?? 'MIXED',
    queues: payload.varint(),
    retention: { ageMs: payload.varint(), bytes: payload.varint() },
  }
  return hasPaused && payload.varint() === 1 ? { ...settings, paused: true } : settings
}

export const topicFields = (topic: TopicState): Field[] => [
  topic.topicId,
  topic.name,
  ...settingsFields(topic),
  statuses.indexOf(topic.status),
  topic.bytes,
  topic.droppedAtMs,
  topic.isAutoCreated ? 1 : 0,
  topic.bounds.length,
  ...topic.bounds.flatMap((bounds) => [
    bounds.offsetMin,
    bounds.offsetMax,
    bounds.isOrdered ? 1 : 0,
    bounds.ended?.length ?? 0,
    ...(bounds.ended ?? []),
  ]),
  topic.schedules.length,
  ...topic.schedules.flatMap(scheduleFields),
  ...tierFields(topic.tier),
]

export const readTopic = (payload: Cursor, version: number): TopicState => {
  const topic = readTopicFields(payload, version)
  const tier = version < 5 ? undefined : readTier(payload)
  return tier ? { ...topic, tier } : topic
}

const readTopicFields = (payload: Cursor, version: number): TopicState => ({
  topicId: payload.varint(),
  name: readText(payload),
  ...readSettings(payload, version >= 4),
  status: statuses[payload.varint()] ?? 'serving',
  bytes: payload.varint(),
  droppedAtMs: payload.varint(),
  isAutoCreated: payload.varint() === 1,
  bounds: Array.from({ length: payload.varint() }, () => readBounds(payload, version)),
  schedules:
    version < 3 ? [] : Array.from({ length: payload.varint() }, () => readSchedule(payload)),
})

const readBounds = (payload: Cursor, version: number): QueueBounds => {
  const bounds = {
    offsetMin: payload.varint(),
    offsetMax: payload.varint(),
    isOrdered: payload.varint() === 1,
  }
  const ended = version === 1 ? [] : readNumbers(payload)
  return ended.length === 0 ? bounds : { ...bounds, ended }
}

const retryFields = (retry: RetryPolicy): Field[] =>
  retry.kind === 'customized'
    ? [0, retry.stepsMs.length, ...retry.stepsMs]
    : [1, retry.initialMs, retry.maxMs, Math.round(retry.multiplier * 1_000)]

const readRetry = (payload: Cursor): RetryPolicy =>
  payload.varint() === 0
    ? { kind: 'customized', stepsMs: readNumbers(payload) }
    : {
        kind: 'exponential',
        initialMs: payload.varint(),
        maxMs: payload.varint(),
        multiplier: payload.varint() / 1_000,
      }

const groupSettingsFields = ({ attemptsMax, startFrom, paused, retry }: GroupSettings): Field[] => [
  attemptsMax,
  startPositions.indexOf(startFrom),
  paused ? 1 : 0,
  ...retryFields(retry),
]

const readGroupSettings = (payload: Cursor, version: number): GroupSettings => {
  const attemptsMax = payload.varint()
  if (version === 1) return { ...groupDefaults, attemptsMax }
  return {
    attemptsMax,
    startFrom: startPositions[payload.varint()] ?? 'earliest',
    paused: payload.varint() === 1,
    retry: readRetry(payload),
  }
}

export const groupFields = (group: GroupState): Field[] => [
  group.groupId,
  group.name,
  statuses.indexOf(group.status),
  ...groupSettingsFields(group),
]

export const readGroup = (payload: Cursor, version: number): GroupState => ({
  groupId: payload.varint(),
  name: readText(payload),
  status: statuses[payload.varint()] ?? 'serving',
  ...readGroupSettings(payload, version),
})

const readNumbers = (payload: Cursor): number[] =>
  Array.from({ length: payload.varint() }, () => payload.varint())

const fieldsOf = (fact: RegistryFact): Field[] => {
  switch (fact.type) {
    case 'topicCreated':
    case 'topicCarried':
      return topicFields(fact.topic)
    case 'topicUpdated':
      return [fact.topicId, ...settingsFields(fact.settings)]
    case 'topicEnded':
    case 'tierDropped':
      return [fact.topicId]
    case 'tierBegun':
      return [fact.topicId, fact.namespace]
    case 'tierAdded':
      return [fact.topicId, ...objectFields(fact.object)]
    case 'tierExpired':
      return [fact.topicId, fact.queueId, fact.offsetMin, fact.floor]
    case 'topicDropped':
      return [fact.topicId, fact.atMs, fact.freed.length, ...fact.freed]
    case 'scheduleSet':
      return [fact.topicId, ...scheduleFields(fact.schedule)]
    case 'scheduleEnded':
      return [fact.topicId, fact.scheduleId]
    case 'queueTrimmed':
      return [
        fact.topicId,
        fact.queueId,
        fact.offsetMin,
        fact.messages,
        fact.bytes,
        fact.freed.length,
        ...fact.freed,
        fact.floor,
      ]
    case 'lettersEnded':
      return [fact.topicId, fact.queueId, fact.runs.length, ...fact.runs]
    case 'groupCreated':
      return groupFields(fact.group)
    case 'groupUpdated':
      return [fact.groupId, ...groupSettingsFields(fact.settings)]
    case 'groupEnded':
    case 'groupDropped':
      return [fact.groupId]
    case 'logOpened':
      return [fact.epoch, fact.wallMs]
    case 'logTrimmed':
      return [fact.nextOwnerId, fact.gaps.length, ...fact.gaps]
  }
}

export const encodeRegistryFact = (fact: RegistryFact): Buffer =>
  encodeFields(factType[fact.type], fieldsOf(fact))

const readers: Readonly<Record<number, (payload: Cursor, version: number) => RegistryFact>> = {
  [factType.topicCreated]: (payload, version) => ({
    type: 'topicCreated',
    topic: readTopic(payload, version),
  }),
  [factType.topicCarried]: (payload, version) => ({
    type: 'topicCarried',
    topic: readTopic(payload, version),
  }),
  [factType.topicUpdated]: (payload, version) => ({
    type: 'topicUpdated',
    topicId: payload.varint(),
    settings: readSettings(payload, version >= 2),
  }),
  [factType.topicEnded]: (payload) => ({ type: 'topicEnded', topicId: payload.varint() }),
  [factType.topicDropped]: (payload) => ({
    type: 'topicDropped',
    topicId: payload.varint(),
    atMs: payload.varint(),
    freed: readNumbers(payload),
  }),
  [factType.tierBegun]: (payload) => ({
    type: 'tierBegun',
    topicId: payload.varint(),
    namespace: readText(payload),
  }),
  [factType.tierAdded]: (payload) => ({
    type: 'tierAdded',
    topicId: payload.varint(),
    object: readObject(payload),
  }),
  [factType.tierExpired]: (payload) => ({
    type: 'tierExpired',
    topicId: payload.varint(),
    queueId: payload.varint(),
    offsetMin: payload.varint(),
    floor: payload.varint(),
  }),
  [factType.tierDropped]: (payload) => ({ type: 'tierDropped', topicId: payload.varint() }),
  [factType.scheduleSet]: (payload) => ({
    type: 'scheduleSet',
    topicId: payload.varint(),
    schedule: readSchedule(payload),
  }),
  [factType.scheduleEnded]: (payload) => ({
    type: 'scheduleEnded',
    topicId: payload.varint(),
    scheduleId: payload.varint(),
  }),
  [factType.queueTrimmed]: (payload, version) => {
    const trimmed = {
      type: 'queueTrimmed',
      topicId: payload.varint(),
      queueId: payload.varint(),
      offsetMin: payload.varint(),
      messages: payload.varint(),
      bytes: payload.varint(),
      freed: readNumbers(payload),
    } as const
    return { ...trimmed, floor: version >= 2 ? payload.varint() : trimmed.offsetMin }
  },
  [factType.lettersEnded]: (payload) => ({
    type: 'lettersEnded',
    topicId: payload.varint(),
    queueId: payload.varint(),
    runs: readNumbers(payload),
  }),
  [factType.groupCreated]: (payload, version) => ({
    type: 'groupCreated',
    group: readGroup(payload, version),
  }),
  [factType.groupUpdated]: (payload, version) => ({
    type: 'groupUpdated',
    groupId: payload.varint(),
    settings: readGroupSettings(payload, version),
  }),
  [factType.groupEnded]: (payload) => ({ type: 'groupEnded', groupId: payload.varint() }),
  [factType.groupDropped]: (payload) => ({ type: 'groupDropped', groupId: payload.varint() }),
  [factType.logOpened]: (payload) => ({
    type: 'logOpened',
    epoch: payload.varint(),
    wallMs: payload.varint(),
  }),
  [factType.logTrimmed]: (payload) => ({
    type: 'logTrimmed',
    nextOwnerId: payload.varint(),
    gaps: readNumbers(payload),
  }),
}

/** Undefined for a type that is not a registry fact. */
export const readRegistryFact = (
  type: number,
  payload: Cursor,
  version: number,
): RegistryFact | undefined => readers[type]?.(payload, version)
