import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Slabs } from '../../../actors/commit-log/slabs.ts'
import { holds } from '../../support/property.ts'

const SlabsSpec = suite('slabs')

const steps = fc.array(
  fc.record({ size: fc.integer({ min: 1, max: 90 }), returned: fc.array(fc.nat({ max: 20 })) }),
  { maxLength: 200 },
)

SlabsSpec('memory that is out is given to nobody else', () =>
  holds(
    fc.property(steps, (rounds) => {
      const slabs = new Slabs(100)
      const out: { readonly region: Buffer; readonly mark: number }[] = []
      rounds.forEach(({ size, returned }, round) => {
        const region = slabs.carve(120).subarray(0, size)
        slabs.keep(size)
        region.fill(round % 256)
        out.push({ region, mark: round % 256 })
        for (const { region: other, mark } of out)
          assert.ok(
            other.every((byte) => byte === mark),
            'a region was overwritten',
          )
        for (const index of returned)
          for (const { region: gone } of out.splice(index, 1)) slabs.giveBack(gone)
      })
    }),
  ),
)

SlabsSpec('a slab of which all was given back is used again', () => {
  const slabs = new Slabs(100)
  const carve = () => {
    const region = slabs.carve(60)
    slabs.keep(60)
    return region
  }
  const first = carve()
  slabs.giveBack(first)
  carve()
  assert.is(carve().buffer, first.buffer)
})

SlabsSpec('a slab of which something is kept is not', () => {
  const slabs = new Slabs(100)
  const buffers = new Set<ArrayBufferLike>()
  for (let count = 0; count < 20; count++) {
    const kept = slabs.carve(10)
    slabs.keep(10)
    buffers.add(kept.buffer)
    slabs.giveBack(slabs.carve(90))
    slabs.keep(90)
  }
  assert.is(buffers.size, 20)
})

SlabsSpec.run()
