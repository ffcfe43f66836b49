import type { Command } from './commands.ts'

/** Scripts that once found something, shrunk, by what must not come back. */
export const examples: Readonly<Record<string, readonly Command[]>> = {
  'what was delivered stays, although the index refuses to cancel': [
    { type: 'failWrites', database: 'index', leaves: 'torn', count: 1 },
    { type: 'checkpoint' },
    { type: 'schedule', topic: 1, count: 1, inMs: 0, isAwaited: false },
    { type: 'cancelAll', topic: 1, withinMs: 5_000 },
    { type: 'schedule', topic: 0, count: 1, inMs: 0, isAwaited: false },
  ],
  'a commit is answered again, also when its timer was cancelled since': [
    { type: 'prepare', topic: 0, laterMs: 20_000 },
    { type: 'resolve', pick: 0, commit: true },
    { type: 'cancel', pick: 0 },
    { type: 'resolve', pick: 0, commit: true },
    { type: 'powerCut', seed: 0 },
  ],
  'what ended before the wall clock was set is forgotten by the wall': [
    { type: 'schedule', topic: 0, count: 7, inMs: 10, isAwaited: false },
    { type: 'schedule', topic: 0, count: 1, inMs: 12_000, isAwaited: false },
    { type: 'schedule', topic: 0, count: 1, inMs: 40_000, isAwaited: false },
    { type: 'schedule', topic: 0, count: 20, inMs: 10, isAwaited: false },
    { type: 'slowWrites', ms: 5 },
    { type: 'fire', pick: 9 },
    { type: 'recall', pick: 0 },
    { type: 'jumpWall', ms: 3_600_000 },
    { type: 'recall', pick: 12 },
    { type: 'failWrites', database: 'commit-log', leaves: 'torn', count: 1 },
  ],
  'what fires while another is not on disk yet may come before it': [
    { type: 'slowWrites', ms: 500 },
    { type: 'schedule', topic: 1, count: 2, inMs: 0, isAwaited: false },
    { type: 'schedule', topic: 1, count: 1, inMs: 1, isAwaited: false },
    { type: 'advance', ms: 1_000 },
    { type: 'slowWrites', ms: 5 },
  ],
  'what was passed over comes in order when the ending of its topic was not written': [
    { type: 'schedule', topic: 0, count: 20, inMs: 0, isAwaited: false },
    { type: 'slowWrites', ms: 500 },
    { type: 'endTopic', topic: 0 },
    { type: 'recall', pick: 1 },
    { type: 'fillDisk' },
    { type: 'advance', ms: 200_000 },
    { type: 'fire', pick: 0 },
  ],
}
