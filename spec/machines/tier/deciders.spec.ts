import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { expiredOf } from '../../../machines/tier/expiry.decider.ts'
import { type QueueOutlook, surveyOf } from '../../../machines/tier/offload.decider.ts'
import { TopicTier } from '../../../machines/tier/topic-tier.ts'
import { holds } from '../../support/property.ts'

const policy = { segmentBytes: 100, holdMs: 30 }
const outlook: QueueOutlook = {
  ...{ from: 5, lastFrom: undefined, localMin: 5, offsetMax: 9, bytes: 50, firstAtMs: 1_000 },
  ...{ nowMs: 1_010, isForced: false, isOverBudget: false },
}

const Deciders = suite('deciders of the tier')

const surveys: readonly (readonly [Partial<QueueOutlook>, object])[] = [
  [{}, { verdict: 'holding', holdMs: 20 }],
  [{ nowMs: 1_030 }, { verdict: 'due' }],
  [{ nowMs: 900 }, { verdict: 'holding', holdMs: 30 }],
  [{ bytes: 100 }, { verdict: 'due' }],
  [{ isForced: true }, { verdict: 'due' }],
  [{ isForced: true, isOverBudget: true }, { verdict: 'pausedByBudget' }],
  [{ isOverBudget: true }, { verdict: 'holding', holdMs: 20 }],
  [{ offsetMax: 5, isForced: true }, { verdict: 'following' }],
  [{ lastFrom: 3 }, { verdict: 'behind' }],
  [{ lastFrom: 5 }, { verdict: 'holding', holdMs: 20 }],
]

for (const [change, expected] of surveys)
  Deciders(`of a queue with ${JSON.stringify(change)}: ${JSON.stringify(expected)}`, () => {
    assert.equal(surveyOf({ ...outlook, ...change }, policy), expected)
  })

/** Sections of 10 offsets and 10 bytes each, one minute after the other. */
const tierOf = (sections: number): TopicTier => {
  const tier = new TopicTier()
  for (let index = 0; index < sections; index++) {
    const place = { indexAt: 0, indexBytes: 0, namesAt: 0, namesBytes: 0, bytes: 10 }
    const times = { firstMs: index * 60, lastMs: index * 60 + 59 }
    const section = { queueId: 0, from: index * 10, to: index * 10 + 10, ...times, ...place }
    const name = { namespace: '0'.repeat(16), leader: 0, leaderFrom: section.from }
    tier.foldAdded({ ...name, bytes: 10, storedAtMs: 0, sections: [section] })
  }
  return tier
}

Deciders('the first offset of a queue never goes back, and stays while the log has it', () =>
  holds(
    fc.property(
      fc.nat(6),
      fc.nat(80),
      fc.nat(500),
      fc.nat(300),
      fc.nat(120),
      (sections, localMin, nowMs, ageMs, bytes) => {
        const tier = tierOf(sections)
        const before = tier.startOf(0) ?? localMin
        const expired = expiredOf({
          ...{ tier, nowMs, localBytes: 20, retention: { ageMs, bytes } },
          queues: [{ queueId: 0, localMin }],
        })
        for (const { queueId, offsetMin } of expired) tier.foldExpired(queueId, offsetMin)
        const after = tier.startOf(0) ?? localMin
        assert.ok(after >= before || before > localMin, `${before} to ${after}`)
        assert.ok(expired.every(({ offsetMin }) => offsetMin <= localMin))
        for (const { to, lastMs } of tier.sectionsOf(0))
          assert.not(to <= localMin && lastMs <= nowMs - ageMs, 'what is old and here alone goes')
      },
    ),
    { runs: 500 },
  ),
)

Deciders.run()
