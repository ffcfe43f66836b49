import { fromPromise } from 'xstate'
import {
  groupMachine,
  type GroupRef,
} from '../../machines/consumer-group/consumer-group.machine.ts'
import { BrokerError } from '../../model/errors.ts'
import { groupDeliveriesRange } from '../../storage/codec/index-key.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { OwnerDeps } from '../topic/topic.actor.ts'
import type { Group } from './group.ts'

export const groupAddress = (groupId: number): string => `group:${groupId}`

/**
 * Gives `groupMachine` its hands; made once for all groups. A tombstone may be forgotten while a
 * step waits for the index: then there is nothing left to do but to sweep.
 */
export const groupLogic = ({ state, log, index }: OwnerDeps) => {
  const groupOf = ({ groupId }: GroupRef): Group => state.groups.get(groupId) as Group
  return groupMachine.provide({
    actions: {
      openGate: ({ context }) => groupOf(context).gate.open(),
      closeGate: ({ context }) => {
        const group = groupOf(context)
        group.gate.close(() => new BrokerError('GROUP_ENDING', { group: group.name }))
      },
    },
    actors: {
      answerRequests: fromPromise(async ({ input }: { input: GroupRef }) => {
        const group = state.groups.get(input.groupId)
        if (group === undefined) return
        for (const { parked } of group.subscriptions.values()) parked.wakeAll()
        await group.gate.whenEmpty()
        await log.flush()
      }),
      dropLeases: fromPromise(({ input }: { input: GroupRef }) =>
        index.exclusive(async () => {
          const { groupId } = input
          if ((state.groups.get(groupId)?.status ?? 'dropped') === 'dropped') return
          const fact = { type: 'groupDropped', groupId } as const
          const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
            synced: () => state.foldRegistry(fact, admitted.chunk.offset + admitted.at),
          })
          await log.whenSynced(admitted)
        }),
      ),
      sweepIndex: fromPromise(({ input: { groupId } }: { input: GroupRef }) =>
        index.exclusive(() => index.clear(groupDeliveriesRange(groupId))),
      ),
    },
  })
}
