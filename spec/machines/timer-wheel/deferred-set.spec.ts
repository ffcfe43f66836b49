import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DeferredSet } from '../../../machines/timer-wheel/deferred-set.ts'

const entry = { id: 1, topicId: 7, dueMs: 1_000, chunk: 64, at: 8, size: 50, checks: 0 }

const Replay = suite('a set of deferred messages that is replayed')

for (const outcome of ['released', 'withdrawn', 'dropped'] as const)
  Replay(`counts nothing of a topic whose ends stand behind its own: ${outcome}`, () => {
    const set = new DeferredSet('timer', { memoryMs: 100_000, entriesMax: 10 })
    set.foldAdded(entry)
    assert.equal([set.admitted, set.count, set.topics.get(7)?.count], [1, 1, 1])
    set.forgetTopic(7)
    set.foldEnded(entry, outcome, 2_000)
    assert.equal([set.admitted, set.count, set.topics.size, set.table.count], [0, 0, 0, 0])
  })

Replay.run()
