import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OffsetSet } from '../../../machines/retention/offset-set.ts'
import { holds } from '../../support/property.ts'

const END = 20
const aStep = fc.oneof(
  fc.record({ start: fc.nat(END), count: fc.nat(5) }),
  fc.record({ cut: fc.nat(END) }),
)

const runsOf = (offsets: readonly number[]): number[] => {
  const runs: number[] = []
  for (const offset of offsets) {
    const end = (runs.at(-2) ?? Number.NaN) + (runs.at(-1) ?? 0)
    if (offset === end) runs[runs.length - 1] = (runs.at(-1) as number) + 1
    else runs.push(offset, 1)
  }
  return runs
}

const Offsets = suite('a set of offsets')

Offsets('is the set that adding and cutting make', async () => {
  await holds(
    fc.property(fc.array(aStep, { maxLength: 20 }), (steps) => {
      const set = new OffsetSet()
      const model = new Set<number>()
      for (const step of steps) {
        if ('cut' in step) {
          set.cut(step.cut)
          for (const offset of model) if (offset < step.cut) model.delete(offset)
        } else {
          set.add([step.start, step.count])
          for (let each = 0; each < step.count; each++) model.add(step.start + each)
        }
        const sorted = [...model].sort((a, b) => a - b)
        assert.equal(set.runs, runsOf(sorted), 'runs are apart, ascending and as few as can be')
        assert.is(set.size, model.size)
        assert.is(set.isEmpty, model.size === 0)
        for (let offset = 0; offset < END + 6; offset++) {
          assert.is(set.has(offset), model.has(offset))
          let outside = offset
          while (model.has(outside)) outside++
          assert.is(set.firstOutside(offset), outside)
        }
      }
    }),
    { runs: 500 },
  )
})

Offsets.run()
