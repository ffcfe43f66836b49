import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import type { TierSection } from '../../../model/tier/tier-objects.ts'
import { putEnding, readTrailer, type SegmentFooter } from '../../../storage/tier/segment-footer.ts'
import { seal } from '../../../storage/tier/segment-format.ts'
import { readFrame } from '../../../storage/tier/segment-frame.ts'
import { verifySegment } from '../../../storage/tier/verify-segment.ts'
import { holds } from '../../support/property.ts'
import {
  fixture,
  framesIn,
  indexIn,
  large,
  namesIn,
  openFooter,
  refusesAsCorrupt,
} from './reading.ts'
import {
  identityOf,
  KEY,
  messageOf,
  plainDraft,
  type Section,
  sectionOf,
  someSections,
  write,
} from './segments.ts'

const Damage = suite('damage of segment objects')

Damage('of one bit shows to whoever verifies, and to whoever reads what it is in', async () => {
  await holds(
    fc.property(someSections(large), fc.nat(), fc.nat(7), (sections, place, bit) => {
      const { bytes, footer } = write(sections)
      const at = place % bytes.length
      bytes[at] = (bytes[at] as number) ^ (1 << bit)
      refusesAsCorrupt(() => verifySegment(bytes, KEY))
      const section = footer.sections.find(
        ({ indexAt, indexBytes, bytes: size }) =>
          at < indexAt + indexBytes && at >= indexAt + indexBytes - size,
      )
      if (section === undefined) return
      if (at >= section.indexAt) refusesAsCorrupt(() => indexIn(bytes, section))
      else if (at >= section.namesAt) refusesAsCorrupt(() => namesIn(bytes, section))
      else refusesAsCorrupt(() => framesIn(bytes, section))
    }),
    { runs: 150 },
  )
})

Damage('that cuts off or adds is seen at every length', () => {
  const { bytes } = write([sectionOf(0, 5, [plainDraft, { ...plainDraft, keys: ['k'] }])])
  for (let length = 0; length < bytes.length; length++)
    refusesAsCorrupt(() => verifySegment(bytes.subarray(0, length), KEY))
  refusesAsCorrupt(() => verifySegment(Buffer.concat([bytes, Buffer.alloc(1)]), KEY))
})

Damage('that puts a frame in the place of another is seen', () => {
  const one = write([sectionOf(0, 5, [plainDraft])])
  const other = write([sectionOf(0, 5, [{ ...plainDraft, chunk: 9 }])])
  const [entry] = [...indexIn(one.bytes, one.footer.sections[0] as TierSection).frames()]
  if (entry === undefined) throw new Error('there is a frame')
  const { at, bytes } = entry
  refusesAsCorrupt(() => readFrame(other.bytes.subarray(at, at + bytes), entry, KEY))
})

Damage('of any bit is seen', () => {
  const bytes = fixture()
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const at = bit >> 3
    const flip = (): void => void (bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7)))
    flip()
    refusesAsCorrupt(() => verifySegment(bytes, KEY))
    flip()
  }
})

Damage('is not what a later format is called', () => {
  for (const [magic, from] of [['GPS1', 'header'] as const, ['GPX1', 'index'] as const]) {
    const bytes = fixture()
    const at = bytes.indexOf(magic)
    bytes.writeUInt16BE(2, at + 4)
    assert.throws(() => verifySegment(bytes, KEY), new RegExp(`format 2 of the ${from} is unknown`))
  }
})

/** An object whose checksums hold, after something in it was changed. */
const sealedAnew = (bytes: Buffer, change: (footer: SegmentFooter) => SegmentFooter): Buffer => {
  const { footerAt } = readTrailer(bytes, { key: KEY, objectBytes: bytes.length })
  const whole = Buffer.concat([bytes, Buffer.alloc(100)])
  return whole.subarray(0, putEnding(whole, footerAt, change(openFooter(bytes))))
}

const reasonOf = (bytes: Buffer): string => {
  try {
    verifySegment(bytes, KEY)
    return 'none'
  } catch (error) {
    return isBrokerError(error, 'CORRUPT') ? error.params.reason : String(error)
  }
}

Damage('is told from an object of another size', () => {
  const bytes = fixture()
  refusesAsCorrupt(() => readTrailer(bytes, { key: KEY, objectBytes: bytes.length + 1 }))
  refusesAsCorrupt(() => verifySegment(Buffer.concat([Buffer.alloc(1), bytes]), KEY))
})

Damage('is seen where all checksums hold and the parts do not agree', () => {
  const [first, second] = [messageOf(plainDraft, 1, 0), messageOf(plainDraft, 1, 1)]
  const { unit } = first
  const reasonFor = (messages: Section['messages'], identity = identityOf()): string =>
    reasonOf(write([{ queueId: 1, from: 0, messages }], identity).bytes)
  assert.is(reasonFor([first, second]), 'none')
  assert.match(reasonFor([second]), /not the message at offset 0/)
  assert.match(reasonFor([first], { ...identityOf(), topicId: 8 }), /not the message at offset 0/)
  const tagged = { ...first, unit: { ...unit, tagsCode: 5 } }
  assert.match(reasonFor([tagged]), /not the one of its unit/)
  assert.match(reasonFor([{ ...first, storeAtMs: 1 }]), /the first time is another/)
  assert.match(reasonFor([first, { ...second, storeAtMs: 1 }]), /the last time is another/)
})

Damage('is seen where footer, header and names do not agree with the frames', () => {
  const bytes = fixture()
  assert.equal(
    sealedAnew(bytes, (footer) => footer),
    bytes,
  )
  const changed = (change: Partial<SegmentFooter>): string =>
    reasonOf(sealedAnew(bytes, (footer) => ({ ...footer, ...change })))
  const { sections, checksums } = openFooter(bytes)
  assert.match(changed({ token: identityOf('cd').token }), /header and footer differ: token/)
  assert.match(changed({ checksums: checksums.with(0, 1) }), /another checksum of the frames/)
  const later = sections.map((section) => ({ ...section, lastMs: section.lastMs + 1 }))
  assert.match(changed({ sections: later }), /other store times/)
  assert.match(changed({ sections: sections.toReversed() }), /not in the order of their queues/)
  assert.match(changed({ sections: sections.slice(1) }), /not where it should be|no section/)
  const [, { namesAt, namesBytes }] = sections as [TierSection, TierSection]
  const block = bytes.subarray(namesAt, namesAt + namesBytes)
  seal(block.fill(1, 12, 13), 0, namesBytes - 4)
  assert.match(reasonOf(bytes), /not those of the messages/)
})

Damage.run()
