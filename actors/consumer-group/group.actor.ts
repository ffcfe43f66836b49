import { fromPromise } from 'xstate'
import { groupMachine } from '../../machines/consumer-group/consumer-group.machine.ts'
import { BrokerError } from '../../model/errors.ts'
import { groupDeliveriesRange } from '../../storage/codec/index-key.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { OwnerDeps } from '../topic/topic.actor.ts'
import type { Group } from './group.ts'

export const groupAddress = (groupId: number): string => `group:${groupId}`

/** Gives `groupMachine` its hands. */
export const groupLogic = (group: Group, { state, log, index }: OwnerDeps) =>
  groupMachine.provide({
    actions: {
      openGate: () => group.gate.open(),
      closeGate: () =>
        group.gate.close(() => new BrokerError('GROUP_ENDING', { group: group.name })),
    },
    actors: {
      answerRequests: fromPromise(async () => {
        for (const { parked } of group.subscriptions.values()) parked.wakeAll()
        await group.gate.whenEmpty()
        await log.flush()
      }),
      dropLeases: fromPromise(() =>
        index.exclusive(async () => {
          if (group.status === 'dropped') return
          const fact = { type: 'groupDropped', groupId: group.groupId } as const
          const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
            synced: () => state.foldRegistry(fact, admitted.chunk.offset + admitted.at),
          })
          await log.whenSynced(admitted)
        }),
      ),
      sweepIndex: fromPromise(() =>
        index.exclusive(() => index.clear(groupDeliveriesRange(group.groupId))),
      ),
    },
  })
