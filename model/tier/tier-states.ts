import type { TierQueueStatus } from './tier-admin.ts'

/** States of a queue's offloading in which it does what it should. */
const quietStates = ['looking', 'following', 'holding', 'riding', 'offloading'] as const

/** Every state of a queue's offloading, without what is within it. */
export const offloadStates: readonly string[] = [
  ...quietStates,
  ...['behind', 'pausedByBudget', 'unreadable', 'backingOff', 'conflict'],
]

/** `offloading` of `offloading.uploading`. */
export const chartStateOf = ({ state }: Pick<TierQueueStatus, 'state'>): string =>
  state.split('.')[0] ?? ''

/**
 * Whether people should know of a queue: something failed, or it waits for more than company. A
 * state that is not known here counts, so that none is hidden.
 */
export const isStuck = (queue: TierQueueStatus): boolean =>
  queue.reason !== undefined || !(quietStates as readonly string[]).includes(chartStateOf(queue))
