import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HandleSeal } from '../../../actors/broker/handles.ts'
import type { ReceiptHandle } from '../../../model/delivery/receipt-handle.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { putVarint } from '../../../model/wire/varint.ts'
import { holds } from '../../support/property.ts'

const secret = Buffer.alloc(32, 7)
const seal = new HandleSeal(secret)

const id = fc.integer({ min: 1, max: 2 ** 32 - 1 })
const aHandle: fc.Arbitrary<ReceiptHandle> = fc.record({
  topicId: id,
  groupId: id,
  queueId: fc.nat(1023),
  queueOffset: fc.maxSafeNat(),
  attempt: fc.nat(1_000),
  generation: fc.nat(65_535),
  invisibleUntilMs: fc.nat(2 ** 45),
  epoch: id,
  resets: fc.nat(1_000),
})

const isRefused = (text: string, by = seal): boolean => {
  try {
    by.open(text)
    return false
  } catch (error) {
    assert.ok(isBrokerError(error, 'RECEIPT_HANDLE_INVALID'), String(error))
    return true
  }
}

const Handles = suite('receipt handles')

Handles('come back as they were sealed', () =>
  holds(
    fc.property(aHandle, (handle) => {
      assert.equal(seal.open(seal.seal(handle)), structuredClone(handle))
    }),
  ),
)

Handles('are refused with any bit changed, any byte missing, or of another broker', () =>
  holds(
    fc.property(aHandle, fc.nat(), (handle, at) => {
      const text = seal.seal(handle)
      const bytes = Buffer.from(text, 'base64url')
      const bit = at % (bytes.length * 8)
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      assert.ok(isRefused(bytes.toString('base64url')), `bit ${bit} was changed`)
      assert.ok(isRefused(text.slice(0, at % text.length)))
      assert.ok(isRefused(`${text}=`))
      assert.ok(isRefused(text, new HandleSeal(Buffer.alloc(32, 8))))
    }),
    { runs: 300 },
  ),
)

Handles('of the first version are those of before any reset', () => {
  const fields = Buffer.alloc(64)
  fields[0] = 1
  let at = 1
  for (const value of [1, 2, 3, 4, 5, 6, 7, 8]) at = putVarint(fields, at, value)
  const head = fields.subarray(0, at)
  const mac = createHmac('sha256', secret).update(head).digest().subarray(0, 10)
  assert.equal(seal.open(Buffer.concat([head, mac]).toString('base64url')), {
    ...{ topicId: 1, groupId: 2, queueId: 3, queueOffset: 4 },
    ...{ attempt: 5, generation: 6, invisibleUntilMs: 7, epoch: 8, resets: 0 },
  })
})

Handles.run()
