import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { sortNames } from '../../../storage/tier/sort-names.ts'
import { seededRandom } from '../../support/random.ts'
import { holds } from '../../support/property.ts'

const sortedIn = (pairs: BigUint64Array): number => {
  const words = new Uint32Array(pairs.buffer, pairs.byteOffset, pairs.length * 2)
  return [...sortNames(words)].length
}

const Sorting = suite('sorting of names')

Sorting('is that of numbers', async () => {
  await holds(
    fc.property(fc.bigUint64Array({ maxLength: 50 }), (pairs) => {
      const expected = pairs.slice().sort()
      sortedIn(pairs)
      assert.equal(pairs, expected)
    }),
  )
})

Sorting('is cut into steps when there are many, whatever they have in common', () => {
  const count = 150_000
  const random = new BigUint64Array(seededRandom(7).bytes(count * 8).buffer)
  const sameHash = random.map((_, index) => (77n << 32n) | BigInt(count - index))
  const twoHashes = sameHash.map((name, index) => (BigInt(index % 2) << 63n) | name)
  const allSame = random.map(() => 2n ** 64n - 1n)
  for (const pairs of [random, sameHash, twoHashes, allSame]) {
    const expected = pairs.slice().sort()
    assert.ok(sortedIn(pairs) > 2)
    assert.ok(Buffer.from(pairs.buffer).equals(Buffer.from(expected.buffer)))
  }
})

Sorting.run()
