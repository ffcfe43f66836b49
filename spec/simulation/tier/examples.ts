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
}
