import { BrokerError } from '../errors.ts'
import { tagBytesOf } from '../message/system-block.ts'
import { javaHash } from '../wire/hash.ts'

/** Which messages of a topic a consumer wants. Compiled once per subscription. */
export interface Filter {
  readonly expression: string
  /** False means: certainly unwanted. Decided on the tag code alone, so collisions pass. */
  readonly mayMatch: (tagsCode: number) => boolean
  /** The exact answer, on the system and properties blocks of the message itself. */
  readonly matches: (system: Uint8Array, properties: Uint8Array) => boolean
  readonly isAll: boolean
}

const all: Filter = { expression: '*', mayMatch: () => true, matches: () => true, isAll: true }

/** `*` or nothing means all; otherwise tags joined by `||`, compared exactly. */
export const tagFilter = (expression: string): Filter => {
  const trimmed = expression.trim()
  if (trimmed === '' || trimmed === '*') return all
  const tags = trimmed
    .split('||')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '')
  if (tags.length === 0)
    throw new BrokerError('FILTER_ILLEGAL', { reason: `'${expression}' names no tag` })
  const codes = new Set(tags.map(javaHash))
  const exact = tags.map((tag) => Buffer.from(tag, 'utf8'))
  return {
    expression: trimmed,
    mayMatch: (tagsCode) => codes.has(tagsCode),
    matches: (system) => {
      const bytes = tagBytesOf(system)
      return exact.some((tag) => tag.equals(bytes))
    },
    isAll: false,
  }
}
