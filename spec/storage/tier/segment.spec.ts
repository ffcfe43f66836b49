import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { TierSection } from '../../../model/tier/tier-objects.ts'
import { idHash, keyHash } from '../../../storage/codec/message-names.ts'
import { sameContent } from '../../../storage/tier/segment-footer.ts'
import { readHeader } from '../../../storage/tier/segment-format.ts'
import { SegmentWriter } from '../../../storage/tier/segment-writer.ts'
import { verifySegment } from '../../../storage/tier/verify-segment.ts'
import { holds } from '../../support/property.ts'
import {
  contentOf,
  expectedOf,
  fixture,
  framesIn,
  indexIn,
  large,
  namesIn,
  openFooter,
  small,
} from './reading.ts'
import {
  golden,
  identityOf,
  KEY,
  messageOf,
  plainDraft,
  type Section,
  sectionOf,
  someSections,
  TOPIC_ID,
  write,
  writeWhatFits,
} from './segments.ts'

const Segment = suite('segment objects')

Segment('give back every message, unit and time', async () => {
  await holds(
    fc.property(someSections(large), (sections) => {
      const { bytes, footer } = write(sections)
      assert.equal(contentOf(bytes), expectedOf(sections))
      assert.equal(openFooter(bytes), footer)
      assert.equal(readHeader(bytes, KEY), identityOf())
      const { messages } = verifySegment(bytes, KEY)
      assert.is(messages, sections.flatMap((section) => section.messages).length)
    }),
    { runs: 60 },
  )
})

Segment('find every message by its names, and by nothing else', async () => {
  await holds(
    fc.property(someSections(large), fc.nat(), (sections, hash) => {
      const { bytes, footer } = write(sections)
      for (const section of footer.sections) {
        const { messages } = sections.find(({ queueId }) => queueId === section.queueId) as Section
        const names = namesIn(bytes, section)
        for (const name of [hash, ...messages.flatMap((message) => message.names)]) {
          const expected = [...messages.keys()].filter((at) => messages[at]?.names.includes(name))
          assert.equal(names.find(name), expected)
        }
      }
    }),
    { runs: 60 },
  )
})

Segment('lead to the frame of an offset, and to the first that is young enough', async () => {
  await holds(
    fc.property(someSections(large), fc.nat(2 ** 41), (unsorted, ms) => {
      const sections = unsorted.map((section) => {
        const times = section.messages.map(({ storeAtMs }) => storeAtMs).sort((a, b) => a - b)
        const messages = section.messages.map((message, index) =>
          messageOf(
            { ...plainDraft, storeAtMs: times[index] ?? 0, bodyBytes: message.unit.size },
            section.queueId,
            section.from + index,
          ),
        )
        return { ...section, messages }
      })
      const { bytes, footer } = write(sections)
      for (const section of footer.sections) {
        const index = indexIn(bytes, section)
        const frames = framesIn(bytes, section)
        for (let offset = section.from; offset < section.to; offset++) {
          const frame = frames.find(({ from, to }) => from <= offset && offset < to)
          assert.equal(index.frameOf(offset), frame?.entry)
        }
        assert.is(index.frameOf(section.from - 1), undefined)
        assert.is(index.frameOf(section.to), undefined)
        for (const time of [ms, section.firstMs, section.lastMs, section.lastMs + 1])
          assert.equal(
            index.frameSince(time),
            frames.find((frame) => frame.storeAtMs(frame.to - 1) >= time)?.entry,
          )
      }
    }),
    { runs: 40 },
  )
})

Segment('hold frames of half a MiB, and a larger message alone', () => {
  const bodies = [1000, 4 * 1024 * 1024, 300_000, 200_000, 100_000, 600_000, 0]
  const drafts = bodies.map((bodyBytes) => ({ ...plainDraft, bodyBytes }))
  const { bytes, footer } = write([sectionOf(2, 10, drafts)])
  const [section] = footer.sections
  const frames = framesIn(bytes, section as TierSection)
  assert.equal(
    frames.map(({ from, to }) => [from, to]),
    [
      [10, 11],
      [11, 12],
      [12, 14],
      [14, 15],
      [15, 16],
      [16, 17],
    ],
  )
  verifySegment(bytes, KEY)
})

Segment('hold at most 4,096 messages in a frame', () => {
  const drafts = Array.from({ length: 4097 }, () => plainDraft)
  const { bytes, footer } = write([sectionOf(0, 0, drafts)])
  const frames = framesIn(bytes, footer.sections[0] as TierSection)
  assert.equal(
    frames.map(({ to }) => to),
    [4096, 4097],
  )
})

Segment('end whole where the room ends, whatever its size and place in memory', async () => {
  await holds(
    fc.property(
      someSections(small),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat(8),
      (sections, part, misaligned) => {
        const size = 200 + Math.floor(part * (write(sections).bytes.length - 200 + 1))
        const memory = Buffer.alloc(size + 16, 0xee)
        const buffer = memory.subarray(misaligned, misaligned + size)
        const { segment, fitted } = writeWhatFits(buffer, sections)
        assert.ok(memory.subarray(0, misaligned).every((byte) => byte === 0xee))
        assert.ok(memory.subarray(misaligned + size).every((byte) => byte === 0xee))
        if (segment === undefined) return
        assert.ok(segment.bytes.length <= size)
        verifySegment(segment.bytes, KEY)
        assert.equal(contentOf(segment.bytes), expectedOf(fitted))
        assert.equal(segment.bytes, write(fitted).bytes)
      },
    ),
    { runs: 400 },
  )
})

Segment('end whole in the middle of frames, and beside them', async () => {
  await holds(
    fc.property(someSections(large), fc.nat(700_000), (sections, less) => {
      const size = Math.max(200, write(sections).bytes.length - less)
      const { segment, fitted } = writeWhatFits(Buffer.alloc(size), sections)
      if (segment === undefined) return
      verifySegment(segment.bytes, KEY)
      assert.ok(segment.bytes.equals(write(fitted).bytes))
    }),
    { runs: 60 },
  )
})

Segment('fit into exactly the bytes that they have', async () => {
  await holds(
    fc.property(fc.oneof(someSections(small), someSections(large)), (sections) => {
      const { bytes } = write(sections)
      assert.is(writeWhatFits(Buffer.alloc(bytes.length), sections).left, 0)
      const less = Buffer.alloc(Math.max(200, bytes.length - 1))
      if (less.length < bytes.length) assert.ok(writeWhatFits(less, sections).left > 0)
    }),
  )
})

Segment('of one message fit into the bytes that are said beforehand', async () => {
  await holds(
    fc.property(someSections(fc.constantFrom(0, 9, 70_000), { messagesMax: 1 }), ([section]) => {
      const { record, names } = (section as Section).messages[0] as Section['messages'][number]
      const buffer = Buffer.alloc(SegmentWriter.bytesFor(record.length, names.length))
      const topic = 't'.repeat(127)
      const { left } = writeWhatFits(buffer, [section as Section], { ...identityOf(), topic })
      assert.is(left, 0)
    }),
  )
})

Segment('do not depend on what did not fit', () => {
  const [first, huge, last] = [0, 900_000, 100].map((bodyBytes, index) =>
    messageOf({ ...plainDraft, bodyBytes, keys: ['k', 'l'] }, 1, index === 0 ? 0 : 1),
  ) as [Section['messages'][0], Section['messages'][0], Section['messages'][0]]
  const writer = new SegmentWriter(Buffer.alloc(1000), identityOf())
  writer.beginSection(1, 0)
  assert.ok(writer.add(first.unit, first.record, first.storeAtMs))
  assert.not(writer.add(huge.unit, huge.record, huge.storeAtMs))
  assert.ok(writer.add(last.unit, last.record, last.storeAtMs))
  writer.endSection()
  const without = write([{ queueId: 1, from: 0, messages: [first, last] }])
  assert.equal(writer.finish().bytes, without.bytes)
})

Segment('are the same from the same messages, but for the token', async () => {
  await holds(
    fc.property(someSections(small), (sections) => {
      const one = write(sections, identityOf('ab'))
      const other = write(sections, identityOf('cd'))
      assert.not.equal(one.bytes, other.bytes)
      assert.ok(sameContent(one.footer, openFooter(other.bytes)))
      assert.equal(write(sections, identityOf('ab')).bytes, one.bytes)
    }),
  )
})

Segment('are not the same when a message, its place, or their topic differs', async () => {
  await holds(
    fc.property(someSections(small), fc.nat(), (sections, chosen) => {
      const { footer } = write(sections)
      const [first] = sections as [Section]
      const at = chosen % first.messages.length
      const message = first.messages[at] as Section['messages'][number]
      const changed = (messages: Section['messages']): Section[] => [
        { ...first, messages },
        ...sections.slice(1),
      ]
      const moved = { ...message, unit: { ...message.unit, chunk: message.unit.chunk + 1 } }
      const others = [
        write(changed(first.messages.with(at, moved))).footer,
        write(changed([...first.messages, message])).footer,
        write(sections, { ...identityOf(), topicId: 8 }).footer,
        write(sections, { ...identityOf(), namespace: 'ffffffffffffffff' }).footer,
        write(sections, { ...identityOf(), topic: 'others' }).footer,
      ]
      for (const other of others) assert.not(sameContent(footer, other))
      const [section] = footer.sections as [TierSection]
      for (const field of Object.keys(section) as (keyof TierSection)[]) {
        const differing = { ...section, [field]: section[field] + 1 }
        assert.not(sameContent(footer, { ...footer, sections: [differing] }))
        assert.not(sameContent(footer, { ...footer, sections: footer.sections.with(0, differing) }))
      }
    }),
  )
})

Segment('refuse to be empty, or to have two sections of a queue', () => {
  const writer = new SegmentWriter(Buffer.alloc(4096), identityOf())
  const { unit, record, storeAtMs } = messageOf(plainDraft, 1, 0)
  assert.throws(() => writer.add(unit, record, storeAtMs), /no section has begun/)
  assert.throws(() => writer.finish(), /is empty/)
  writer.beginSection(1, 0)
  assert.throws(() => writer.endSection(), /is empty/)
  assert.throws(() => writer.add({ ...unit, size: 3 }, record, storeAtMs), /not the message/)
  assert.ok(writer.add(unit, record, storeAtMs))
  assert.throws(() => writer.beginSection(2, 0), /has not ended/)
  assert.throws(() => writer.finish(), /has not ended/)
  writer.endSection()
  assert.throws(() => writer.beginSection(1, 1), /has a section already/)
  writer.beginSection(2, 0)
  assert.is(writer.finish().footer.sections.length, 1)
})

Segment('of format 1 stay readable', () => {
  const bytes = fixture()
  assert.equal(verifySegment(bytes, KEY), { footer: openFooter(bytes), frames: 2, messages: 4 })
  assert.equal(
    openFooter(bytes).sections.map(({ queueId, from, to, firstMs, lastMs }) => ({
      queueId,
      from,
      to,
      firstMs,
      lastMs,
    })),
    [
      { queueId: 0, from: 0, to: 2, firstMs: 1000, lastMs: 1000 },
      { queueId: 3, from: 2 ** 40, to: 2 ** 40 + 2, firstMs: 1000, lastMs: 2 ** 40 },
    ],
  )
  assert.equal(contentOf(bytes), expectedOf(golden))
  const section = openFooter(bytes).sections[1] as TierSection
  assert.equal(namesIn(bytes, section).find(keyHash(TOPIC_ID, 'red')), [0, 1])
  assert.equal(namesIn(bytes, section).find(idHash('id-2')), [1])
  assert.equal(write(golden).bytes, bytes)
})

Segment.run()
