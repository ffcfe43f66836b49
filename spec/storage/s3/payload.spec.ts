import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../index.ts'
import { Payload } from '../../../storage/s3/payload.ts'
import { holds } from '../../support/property.ts'

const MIB = 1024 * 1024
const parts = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 })

const Bodies = suite('payload')

Bodies('is its parts one after the other, and so is a range of it', () =>
  holds(
    fc.property(parts, fc.nat({ max: 130 }), fc.nat({ max: 130 }), (given, from, length) => {
      const whole = Buffer.concat(given)
      const payload = new Payload(given)
      assert.is(payload.bytes, whole.length)
      assert.ok(Buffer.concat([...payload.slices()]).equals(whole))
      const to = Math.min(from + length, whole.length)
      const expected = whole.subarray(Math.min(from, to), to)
      const range = payload.range(Math.min(from, to), to)
      assert.ok(Buffer.concat([...range.slices()]).equals(expected))
      assert.is(range.bytes, expected.length)
    }),
  ),
)

Bodies('is not paused for every crumb', async () => {
  const payload = new Payload(Array.from({ length: 5_000 }, () => Buffer.alloc(1_000)))
  let pauses = 0
  const soon = (task: () => void): void => {
    pauses += 1
    task()
  }
  await payload.hash({ soon }, { withSha256: false })
  assert.ok(pauses >= 8 && pauses <= 10, `${pauses} pauses`)
})

Bodies('is hashed in slices, with a pause after each', async () => {
  const content = Buffer.alloc(8 * MIB + 1, 7)
  const payload = new Payload([content.subarray(0, 3), content.subarray(3)])
  let pauses = 0
  const soon = (task: () => void): void => {
    pauses += 1
    systemClock.soon(task)
  }
  await payload.hash({ soon }, { withSha256: true })
  assert.ok(pauses >= 15, `${pauses} pauses`)
  for (const slice of payload.slices()) assert.ok(slice.length <= MIB)
  assert.equal(payload.hashes, {
    md5: createHash('md5').update(content).digest('base64'),
    sha256: createHash('sha256').update(content).digest('hex'),
  })
  await payload.hash({ soon }, { withSha256: false })
  assert.is(payload.hashes?.sha256, undefined)
})

Bodies.run()
