import type { Command } from './commands.ts'

/** Scripts that once found something, shrunk, by what must not come back. */
export const examples: Readonly<Record<string, readonly Command[]>> = {
  'two who wait with a filter do not rouse each other for ever': [
    { type: 'receive', topic: 1, group: 2, batchMax: 3, waitMs: 15_000, invisibleMs: 10_000 },
    { type: 'receive', topic: 1, group: 2, batchMax: 3, waitMs: 15_000, invisibleMs: 10_000 },
    { type: 'advance', ms: 10_000 },
  ],
  'a lease that was acknowledged leaves no deadline behind': [
    { type: 'send', topic: 2, count: 1, bytes: 0, messageGroup: 'a', isAwaited: true },
    { type: 'renewedReceive', topic: 2, group: 0 },
    { type: 'ack', pick: 0, count: 1 },
    { type: 'advance', ms: 61_000 },
    { type: 'receive', topic: 2, group: 0, batchMax: 1, waitMs: 5_000, invisibleMs: 10_000 },
    { type: 'advance', ms: 10_000 },
  ],
  'closing behind a failed write leaves no hole in the log': [
    { type: 'send', topic: 1, count: 1, bytes: 0, messageGroup: 'b', isAwaited: false },
    { type: 'receive', topic: 1, group: 2, batchMax: 1, waitMs: 0, invisibleMs: 40_000 },
    { type: 'failWrites', database: 'commit-log', error: 'ENOSPC', leaves: 'nothing', count: 2 },
    { type: 'closeAtOnce' },
  ],
  'leases of an ended topic are swept although the index failed meanwhile': [
    { type: 'send', topic: 1, count: 1, bytes: 0, messageGroup: 'a', isAwaited: true },
    { type: 'renewedReceive', topic: 1, group: 1 },
    { type: 'failWrites', database: 'index', error: 'EIO', leaves: 'whole', count: 1 },
    { type: 'checkpoint' },
    { type: 'endTopic', topic: 1 },
    { type: 'advance', ms: 10_000 },
  ],
  'an ending goes on when its tombstone is forgotten before the index is swept': [
    { type: 'send', topic: 0, count: 5, bytes: 200, messageGroup: '', isAwaited: false },
    { type: 'abortedReceive', topic: 0, group: 0 },
    { type: 'endTopic', topic: 0 },
    { type: 'failWrites', database: 'index', error: 'ENOSPC', leaves: 'torn', count: 1 },
    { type: 'endGroup', group: 0 },
    { type: 'send', topic: 1, count: 23, bytes: 30, messageGroup: '', isAwaited: false },
    { type: 'endTopic', topic: 1 },
    { type: 'createShortTopic', topic: 0, by: 'age' },
    { type: 'ackTwice', pick: 0 },
  ],
  'an ending that waits for the index is told when the broker closes': [
    { type: 'failWrites', database: 'index', error: 'EIO', leaves: 'torn', count: 1 },
    { type: 'endTopic', topic: 0 },
    { type: 'restart' },
  ],
  'a full disk loses nothing and reopens by the ballast': [
    { type: 'fillDisk' },
    { type: 'send', topic: 0, count: 5, bytes: 200, messageGroup: 'b', isAwaited: false },
    { type: 'audit' },
  ],
  'a receive that went away costs no attempt': [
    { type: 'createGroup', group: 2, attemptsMax: 1 },
    { type: 'send', topic: 0, count: 1, bytes: 0, messageGroup: 'a', isAwaited: true },
    { type: 'abortedReceive', topic: 0, group: 2 },
  ],
  'a handle whose extension a power cut has lost still counts': [
    { type: 'send', topic: 1, count: 1, bytes: 0, messageGroup: '', isAwaited: true },
    { type: 'receive', topic: 1, group: 2, batchMax: 1, waitMs: 0, invisibleMs: 10_000 },
    { type: 'send', topic: 2, count: 1, bytes: 0, messageGroup: 'b', isAwaited: false },
    { type: 'extend', pick: 0, ms: 30_000 },
    { type: 'powerCut', seed: 131 },
    { type: 'ack', pick: 0, count: 1 },
  ],
  'a dead letter by a handle whose lease a power cut has lost is one': [
    { type: 'send', topic: 1, count: 1, bytes: 0, messageGroup: 'a', isAwaited: true },
    { type: 'receive', topic: 1, group: 1, batchMax: 1, waitMs: 0, invisibleMs: 10_000 },
    { type: 'powerCut', seed: 958 },
    { type: 'deadLetter', pick: 0 },
  ],
}
