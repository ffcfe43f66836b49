import { fromPromise } from 'xstate'
import { topicMachine, type TopicRef } from '../../machines/topic/topic.machine.ts'
import { BrokerError } from '../../model/errors.ts'
import { groupTopicRange, topicQueuesRange } from '../../storage/codec/index-key.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { freedBelow } from '../upkeep/trim.ts'
import type { Topic } from './topic.ts'

export interface OwnerDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: { wallMs(): number }
}

export interface TopicLogicDeps extends OwnerDeps {
  /** Ends what waits for a time, or for a producer. */
  readonly dropDeferred: (topicId: number) => Promise<void>
  /** Ends what is on its way into the tier. */
  readonly stopTier: (topicId: number) => Promise<void>
  /** Removes what the tier has of a topic that was dropped. */
  readonly dropTier: (topic: Topic) => Promise<void>
  /** Nothing of the topic can be reached any more. */
  readonly onEnded: (topicId: number) => void
}

export const topicAddress = (topicId: number): string => `topic:${topicId}`

/**
 * Gives `topicMachine` its hands: the gate, and the steps of ending, each idempotent. Made once
 * for all topics: a machine of its own costs a topic 24 KiB.
 */
export const topicLogic = (deps: TopicLogicDeps) => {
  const { state, log, index, clock } = deps
  const topicOf = ({ topicId }: TopicRef): Topic => state.topics.get(topicId) as Topic
  return topicMachine.provide({
    actions: {
      openGate: ({ context }) => topicOf(context).gate.open(),
      throttleGate: ({ context }, { refusal }) => topicOf(context).gate.throttle(refusal),
      closeGate: ({ context }) => {
        const topic = topicOf(context)
        topic.gate.close(() => new BrokerError('TOPIC_ENDING', { topic: topic.name }))
      },
      announceEnded: ({ context }) => deps.onEnded(context.topicId),
    },
    actors: {
      answerRequests: fromPromise(async ({ input }: { input: TopicRef }) => {
        const topic = state.topics.get(input.topicId)
        if (topic === undefined) return
        for (const group of state.groups.values())
          group.subscriptions.get(topic.topicId)?.parked.wakeAll()
        await topic.gate.whenEmpty()
        await deps.stopTier(topic.topicId)
        await log.flush()
      }),
      cancelTimers: fromPromise(({ input: { topicId } }: { input: TopicRef }) =>
        deps.dropDeferred(topicId),
      ),
      dropLeases: fromPromise(async ({ input: { topicId } }: { input: TopicRef }) => {
        await index.exclusive(async () => {
          for (const group of state.groups.values()) {
            const subscription = group.subscriptions.get(topicId)
            if (subscription === undefined) continue
            for (const cell of subscription.cells) if (cell) state.dirtyCells.delete(cell)
            // Forgotten only when they are gone: a step that fails begins anew.
            await index.clear(groupTopicRange(group.groupId, topicId))
            state.endSubscription(group, topicId)
          }
        })
      }),
      // Under the checkpoint's lock: a state written between admission and sync would say that
      // the fact is in it.
      dropQueues: fromPromise(({ input }: { input: TopicRef }) =>
        index.exclusive(() => dropQueues(state.topics.get(input.topicId), { state, log, clock })),
      ),
      sweepIndex: fromPromise(({ input: { topicId } }: { input: TopicRef }) =>
        index.exclusive(() => index.clear(topicQueuesRange(topicId))),
      ),
      dropTier: fromPromise(async ({ input }: { input: TopicRef }) => {
        const topic = state.topics.get(input.topicId)
        if (topic?.tier.isBegun) await deps.dropTier(topic)
      }),
    },
  })
}

const dropQueues = async (
  topic: Topic | undefined,
  { state, log, clock }: Pick<OwnerDeps, 'state' | 'log' | 'clock'>,
): Promise<void> => {
  // Also when its tombstone was forgotten, while a later step waited for the index.
  if (topic === undefined || topic.status === 'dropped') return
  const freed: number[] = []
  for (const queue of topic.queues)
    freed.push(...(await freedBelow(state.space, queue, queue.offsetMax)).freed)
  const { topicId } = topic
  const fact = { type: 'topicDropped', topicId, atMs: Math.floor(clock.wallMs()), freed } as const
  const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
    synced: () => state.foldRegistry(fact, admitted.chunk.offset + admitted.at),
  })
  await log.whenSynced(admitted)
}
