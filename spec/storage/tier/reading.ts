import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import type { TierSection } from '../../../model/tier/tier-objects.ts'
import {
  footerIn,
  readFooter,
  readTrailer,
  type SegmentFooter,
} from '../../../storage/tier/segment-footer.ts'
import { type Frame, readFrame } from '../../../storage/tier/segment-frame.ts'
import { readIndex } from '../../../storage/tier/segment-index.ts'
import { readNames } from '../../../storage/tier/segment-names.ts'
import { KEY, type Section } from './segments.ts'

export const small = fc.nat(60)
/** Bodies of which few fill a frame, and some are more than a frame. */
export const large = fc.oneof(
  { weight: 2, arbitrary: small },
  { weight: 1, arbitrary: fc.constantFrom(200_000, 262_000, 524_200, 600_000) },
)

export const openFooter = (bytes: Buffer): SegmentFooter => {
  const suffix = bytes.subarray(Math.max(0, bytes.length - 4096))
  const trailer = readTrailer(suffix, { key: KEY, objectBytes: bytes.length })
  return readFooter(footerIn(suffix, trailer) as Buffer, trailer, KEY)
}

export const indexIn = (bytes: Buffer, section: TierSection) =>
  readIndex(bytes.subarray(section.indexAt, section.indexAt + section.indexBytes), section, KEY)

export const namesIn = (bytes: Buffer, section: TierSection) =>
  readNames(bytes.subarray(section.namesAt, section.namesAt + section.namesBytes), section, KEY)

export const framesIn = (bytes: Buffer, section: TierSection): Frame[] =>
  [...indexIn(bytes, section).frames()].map((entry) =>
    readFrame(bytes.subarray(entry.at, entry.at + entry.bytes), entry, KEY),
  )

/** Everything that readers see of an object, as the sections that were written. */
export const contentOf = (bytes: Buffer): Section[] =>
  openFooter(bytes).sections.map((section) => {
    const messages = framesIn(bytes, section).flatMap((frame) =>
      Array.from({ length: frame.to - frame.from }, (_, index) => {
        const offset = frame.from + index
        const { physicalOffset, size, tagsCode, groupHash } = frame.unit(offset)
        const { at, payload } = frame.record(offset)
        return {
          unit: { chunk: physicalOffset, at: 0, size, tagsCode, groupHash },
          record: Buffer.from(payload.bytes.subarray(at, at + size)),
          storeAtMs: frame.storeAtMs(offset),
          names: [],
        }
      }),
    )
    return { queueId: section.queueId, from: section.from, messages }
  })

/** The same of what was written. */
export const expectedOf = (sections: readonly Section[]): Section[] =>
  sections
    .map(({ messages, ...section }) => ({
      ...section,
      messages: messages.map(({ unit, record, storeAtMs }) => ({
        unit: { ...unit, chunk: unit.chunk + unit.at, at: 0 },
        record,
        storeAtMs,
        names: [],
      })),
    }))
    .sort((a, b) => a.queueId - b.queueId)

export const isCorrupt = (error: unknown): boolean =>
  isBrokerError(error, 'CORRUPT') && error.params.store === KEY && error.params.position >= 0

export const refusesAsCorrupt = (read: () => unknown): void => {
  try {
    read()
  } catch (error) {
    if (!isCorrupt(error)) throw error
    return
  }
  assert.unreachable('it was read')
}

export const fixture = (): Buffer =>
  Buffer.from(
    readFileSync(new URL('../../fixtures/segment-1.hex', import.meta.url), 'utf8').replace(
      /\n/g,
      '',
    ),
    'hex',
  )
