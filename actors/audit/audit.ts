import type { AuditReport, MetricRegistry, Residue } from '../../model/ports.ts'
import type { DeferredKind } from '../../model/deferred/deferred.ts'
import { parseIndexKey } from '../../storage/codec/index-key.ts'
import { BLOCK_UNITS } from '../../storage/codec/unit-block.ts'
import type { CoreBroker } from '../broker/broker.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { Supervision } from '../system/supervision.ts'

/**
 * Walks what is really there (every key of the index, every chunk of the log, every actor, timer
 * and snapshot, and every series of the metric registry) and asks who claims it. It never asks
 * those who made it: a leak is by definition something that nobody remembers.
 */
export const audit = async (
  broker: CoreBroker,
  metrics: MetricRegistry,
  reclaimMs: number,
): Promise<AuditReport> => {
  const residue: Residue[] = []
  // Between a checkpoint's batches an owner may be half written: look at rest.
  await broker.index.exclusive(async () => {
    for await (const key of broker.index.keys()) {
      const owner = unclaimedKey(broker, key)
      if (owner !== undefined) {
        const what = Buffer.from(key).toString('hex')
        residue.push({ owner, kind: 'indexKey', what, bytes: key.length })
      }
    }
  })
  for await (const offset of broker.log.chunks.offsets())
    if (broker.state.space.isGap(offset, offset + 1))
      residue.push({ owner: 'commit-log', kind: 'logChunk', what: `${offset}`, bytes: 0 })
  for (const { name, labels } of await metrics.series()) {
    const owner = unclaimedSeries(broker.state, labels)
    const what = `${name}${JSON.stringify(labels)}`
    if (owner !== undefined) residue.push({ owner, kind: 'metricSeries', what, bytes: 0 })
  }
  residue.push(...unclaimedActors(broker), ...unclaimedTimers(broker), ...unclaimedHandles(broker))
  if (broker.tier) residue.push(...broker.tier.residue())
  const awaitingReclaim = [...broker.state.topics.values()]
    .filter(({ status, bytes }) => status === 'dropped' && bytes > 0)
    .map(({ topicId, name, bytes, droppedAtMs }) => ({
      owner: `topic:${topicId}`,
      name,
      bytes,
      byMs: droppedAtMs + reclaimMs,
    }))
  return { clean: residue.length === 0, residue, awaitingReclaim }
}

/** The address that a key claims, when no living owner has it. */
const unclaimedKey = (broker: CoreBroker, bytes: Uint8Array): string | undefined => {
  const { state, messageIndex, supervisions } = broker
  const key = parseIndexKey(bytes)
  switch (key.kind) {
    case 'cursor':
    case 'space':
      return undefined
    case 'nameRange':
      return messageIndex.owns(key.from) ? undefined : 'message-index'
    case 'namePage':
      return messageIndex.owns(key.from, key.page) ? undefined : 'message-index'
    case 'topic':
      return state.topics.has(key.ownerId) ? undefined : `topic:${key.ownerId}`
    case 'group':
      return state.groups.has(key.ownerId) ? undefined : `group:${key.ownerId}`
    case 'queueBlock': {
      const topic = state.topics.get(key.ownerId)
      const queue = topic?.queues[key.queueId]
      const first = queue?.indexedFrom ?? 0
      const end = queue ? Math.ceil(queue.admittedEnd / BLOCK_UNITS) : 0
      const isClaimed = key.block >= first && key.block < end
      const owner = `topic:${key.ownerId}`
      return isClaimed || isEnding(supervisions.topics, owner) ? undefined : owner
    }
    case 'deliveries': {
      const group = state.groups.get(key.ownerId)
      const cell = group?.subscriptions.get(key.topicId)?.cell(key.queueId)
      const owner = `group:${key.ownerId}`
      return cell || isEnding(supervisions.groups, owner) ? undefined : owner
    }
    case 'deferredAll':
      return undefined
    case 'deferredOutcomes': {
      const { outcomes } = state.deferred[key.deferred]
      const isKnown = outcomes.has(key.block) || outcomes.dirty.has(key.block)
      return isKnown ? undefined : `${key.deferred}s`
    }
    case 'deferred':
      return isDeferred(state, key.deferred, key.id) ? undefined : `${key.deferred}:${key.id}`
    case 'deferredDue': {
      const topic = state.topics.get(key.ownerId)
      const isOwned = topic !== undefined && topic.status !== 'dropped'
      return isOwned && isDeferred(state, key.deferred, key.id) ? undefined : `topic:${key.ownerId}`
    }
    case 'unknown':
      return 'nobody'
  }
}

/** It waits, or the next checkpoint removes its keys. */
const isDeferred = (state: BrokerState, kind: DeferredKind, id: number): boolean =>
  state.deferred[kind].outcomes.isPending(id) || state.deferred[kind].isRemoved(id)

const unclaimedSeries = (
  state: BrokerState,
  { topic, consumer_group: group }: Readonly<Record<string, string>>,
): string | undefined => {
  if (topic !== undefined && state.topicNamed(topic) === undefined) return `topic ${topic}`
  if (group !== undefined && state.groupNamed(group) === undefined) return `group ${group}`
  return undefined
}

/** Whether a topic or a group of this address lives. */
const isAlive = (state: BrokerState, address: string): boolean => {
  const [kind, id] = address.split(':')
  const owner = kind === 'topic' ? state.topics.get(Number(id)) : state.groups.get(Number(id))
  return owner !== undefined && owner.status !== 'dropped'
}

/** Timers that would still ring for somebody who is gone. */
function* unclaimedTimers({ state, supervisions, clock }: CoreBroker): Generator<Residue> {
  const isOwned = (address: string): boolean =>
    address === 'broker' ||
    isAlive(state, address) ||
    isEnding(supervisions.topics, address) ||
    isEnding(supervisions.groups, address)
  for (const { owner, dueMs } of clock.pending()) {
    const dead = owner.split(' ').find((address) => !isOwned(address))
    const what = `due in ${Math.max(0, Math.round(dueMs - clock.monotonicMs()))} ms`
    if (dead !== undefined) yield { owner: dead, kind: 'timer', what, bytes: 0 }
  }
}

/** Snapshots that nobody reads: they hold the space of what is cleared. */
function* unclaimedHandles({ log, index, readers }: CoreBroker): Generator<Residue> {
  const ofIndex = [...readers].filter(({ readsIndex }) => readsIndex).length
  const open = [
    { owner: 'commit-log', count: log.chunks.snapshots - readers.size },
    { owner: 'index', count: index.snapshots - ofIndex },
  ]
  for (const { owner, count } of open)
    if (count > 0) yield { owner, kind: 'handle', what: `${count} open snapshots`, bytes: 0 }
}

function* unclaimedActors({ state, supervisions }: CoreBroker): Generator<Residue> {
  const isOwned = (address: string): boolean => isAlive(state, address)
  for (const supervision of [supervisions.topics, supervisions.groups])
    for (const address of new Set([...supervision.addresses(), ...supervision.actors()]))
      if (!isOwned(address) && !isEnding(supervision, address))
        yield { owner: address, kind: 'actor', what: address, bytes: 0 }
}

/** Whoever is ending still has steps to do, and what is left is what they are for. */
const isEnding = (supervision: Supervision, address: string): boolean => {
  const state = supervision.describe(address)?.state
  return typeof state === 'object' && state !== null && 'ending' in state
}
