import { fromPromise } from 'xstate'
import { topicMachine } from '../../machines/topic/topic.machine.ts'
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

export const topicAddress = (topicId: number): string => `topic:${topicId}`

/** Gives `topicMachine` its hands: the gate, and the steps of ending, each idempotent. */
export const topicLogic = (topic: Topic, { state, log, index, clock }: OwnerDeps) =>
  topicMachine.provide({
    actions: {
      openGate: () => topic.gate.open(),
      throttleGate: (_, { refusal }) => topic.gate.throttle(refusal),
      closeGate: () =>
        topic.gate.close(() => new BrokerError('TOPIC_ENDING', { topic: topic.name })),
    },
    actors: {
      answerRequests: fromPromise(async () => {
        for (const group of state.groups.values())
          group.subscriptions.get(topic.topicId)?.parked.wakeAll()
        await topic.gate.whenEmpty()
        await log.flush()
      }),
      dropLeases: fromPromise(async () => {
        await index.exclusive(async () => {
          for (const group of state.groups.values()) {
            const subscription = group.subscriptions.get(topic.topicId)
            if (subscription === undefined) continue
            for (const cell of subscription.cells) if (cell) state.dirtyCells.delete(cell)
            group.subscriptions.delete(topic.topicId)
            await index.clear(groupTopicRange(group.groupId, topic.topicId))
          }
        })
      }),
      // Under the checkpoint's lock: a state written between admission and sync would say that
      // the fact is in it.
      dropQueues: fromPromise(() =>
        index.exclusive(() => dropQueues(topic, { state, log, clock })),
      ),
      sweepIndex: fromPromise(() =>
        index.exclusive(() => index.clear(topicQueuesRange(topic.topicId))),
      ),
    },
  })

const dropQueues = async (
  topic: Topic,
  { state, log, clock }: Pick<OwnerDeps, 'state' | 'log' | 'clock'>,
): Promise<void> => {
  if (topic.status === 'dropped') return
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
