import fc from 'fast-check'
import { firstValueFrom, Subject, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Admission, shares } from '../../../actors/commit-log/admission.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { CHUNK_HEADER_BYTES, openChunk } from '../../../storage/codec/chunk.ts'
import { groupCommit } from '../../../streams/append/group-commit.stream.ts'
import { holds } from '../../support/property.ts'
import { aLog, tiny } from './a-log.ts'

const emptyTail = { offset: 0, lastOffset: 0, lastChecksum: 0, epoch: 0 }

type Step =
  | { readonly type: 'reserve'; readonly size: number; readonly share: 'durable' | 'buffered' }
  | { readonly type: 'commit' }

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('reserve' as const),
      size: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 100, max: 900 })),
      share: fc.constantFrom('durable' as const, 'buffered' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'commit' as const }) },
)

const AdmissionSpec = suite('admission')

AdmissionSpec('keeps each to its share, gives every record a place and chains the chunks', () =>
  holds(
    fc.property(fc.array(aStep, { maxLength: 60, size: 'max' }), (script) => {
      const admission = new Admission(tiny)
      admission.start(emptyTail, 1)
      const sizes: number[] = []
      let outstanding = 0
      let end = 0
      let previous = { offset: 0, checksum: 0 }
      const commit = (): boolean => {
        const batch = admission.take()
        if (batch === undefined) return false
        assert.ok(batch.length <= tiny.commitChunksMax)
        for (const { sealed, used } of batch) {
          assert.ok(sealed)
          const header = openChunk(sealed.bytes, end)
          assert.is(header.previousOffset, previous.offset)
          assert.is(header.previousChecksum, previous.checksum)
          previous = { offset: end, checksum: header.checksum }
          end += used
          outstanding -= used - CHUNK_HEADER_BYTES
        }
        admission.synced(batch)
        return true
      }
      for (const step of script) {
        if (step.type === 'commit') {
          commit()
          continue
        }
        const { size, share } = step
        const fits = outstanding + size <= tiny.bytesMax * shares[share]
        try {
          const { chunk, at } = admission.reserve(size, share)
          assert.ok(fits, 'more than the share is taken')
          assert.ok(at + size <= chunk.region.length)
          sizes.push(size)
          outstanding += size
        } catch (error) {
          assert.ok(isBrokerError(error, 'THROTTLED') && !fits, String(error))
        }
        assert.is(admission.outstandingBytes, outstanding)
      }
      while (commit());
      assert.is(admission.outstandingBytes, 0)
    }),
    { runs: 300 },
  ),
)

AdmissionSpec(
  'leaves room for acknowledgements when sends are refused, and for deletes after',
  async () => {
    const { clock, place, log, send, answers } = await aLog()
    place.slowWrites('commit-log', 2_000)
    let sends = 0
    const refusalOf = (work: () => void): string => {
      try {
        work()
        return 'none'
      } catch (error) {
        return isBrokerError(error) ? error.code : String(error)
      }
    }
    while (refusalOf(() => send(sends)) === 'none') sends++
    let acks = 0
    while (refusalOf(() => log.admitBuffered(Buffer.from([2, 32, 1]))) === 'none') acks++
    assert.ok(acks > 100, `${acks} acknowledgements find room`)
    assert.is(
      refusalOf(() => log.admitFact(Buffer.from([2, 22, 1]), 'freeing')),
      'none',
    )
    await clock.advance(100_000)
    assert.is(answers.filter((answer) => answer.endsWith('done')).length, sends)
    assert.is(log.unsyncedBytes, 0)
  },
)

AdmissionSpec('a commit is on its way at most once at a time, and all are, in order', () =>
  holds(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 30 }),
      async (rounds) => {
        const waiting: number[] = []
        const written: number[] = []
        const settle: (() => void)[] = []
        let next = 0
        const signal$ = new Subject<void>()
        const steps = firstValueFrom(
          signal$.pipe(
            groupCommit({
              take: () => (waiting.length === 0 ? undefined : waiting.splice(0, 2)),
              write: (batch: readonly number[]) =>
                new Promise<void>((resolve) =>
                  settle.push(() => {
                    written.push(...batch)
                    resolve()
                  }),
                ),
            }),
            toArray(),
          ),
        )
        const turn = async (): Promise<void> => {
          signal$.next()
          assert.ok(settle.length <= 1, 'two writes are on their way')
          settle.shift()?.()
          await new Promise((resolve) => setImmediate(resolve))
        }
        for (const count of rounds) {
          for (let index = 0; index < count; index++) waiting.push(next++)
          await turn()
        }
        while (waiting.length > 0 || settle.length > 0) await turn()
        signal$.complete()
        assert.equal(
          written,
          Array.from({ length: next }, (_, index) => index),
        )
        const announced = (await steps).filter(({ type }) => type === 'synced')
        assert.equal(
          announced.flatMap(({ batch }) => batch),
          written,
        )
      },
    ),
  ),
)

AdmissionSpec.run()
