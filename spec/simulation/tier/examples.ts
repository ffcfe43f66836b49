import type { Command } from './commands.ts'

/** Scripts that once found something, shrunk, by what must not come back. */
export const examples: Readonly<Record<string, readonly Command[]>> = {
  'a lease in the tier outlives a rebuild that meets the trim before the tier': [
    { type: 'send', topic: 1, count: 20, bytes: 10, isGrouped: false },
    { type: 'restart' },
    { type: 'send', topic: 0, count: 1, bytes: 3_000, isGrouped: false },
    { type: 'receive', topic: 1, batchMax: 1 },
    { type: 'advance', ms: 40_000 },
    { type: 'heal' },
  ],
  'a lease before the tier outlives a rebuild that meets later sections first': [
    { type: 'send', topic: 0, count: 2, bytes: 3_000, isGrouped: false },
    { type: 'send', topic: 0, count: 5, bytes: 10, isGrouped: false },
    { type: 'send', topic: 0, count: 20, bytes: 10, isGrouped: false },
    { type: 'audit' },
    { type: 'send', topic: 0, count: 1, bytes: 10, isGrouped: false },
    { type: 'receive', topic: 0, batchMax: 1 },
  ],
}
