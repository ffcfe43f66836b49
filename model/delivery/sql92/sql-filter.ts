import { readProperties } from '../../message/properties-block.ts'
import { decodeSystem, tagBytesOf } from '../../message/system-block.ts'
import { textOf } from '../../wire/text.ts'
import type { Filter } from '../filter.ts'
import { compileSql } from './compile.ts'
import { parseSql } from './parse.ts'
import { truth } from './truth.ts'

/** Names under which RocketMQ keeps what a message has beside its user properties. */
const systemNames: Readonly<Record<string, (system: Uint8Array) => string>> = {
  TAGS: (system) => textOf(tagBytesOf(system)),
  KEYS: (system) => decodeSystem(system).keys.join(' '),
}

/**
 * SQL92 over the properties of a message (docs/filters.md), compiled once. Throws
 * `FILTER_ILLEGAL` with the position of what is wrong.
 */
export const sqlFilter = (expression: string): Filter => {
  const { names, condition } = compileSql(parseSql(expression))
  const keys = names.map((name) => Buffer.from(name, 'utf8'))
  const ofSystem = names.flatMap((name, slot) => {
    const read = Object.hasOwn(systemNames, name) ? systemNames[name] : undefined
    return read ? [{ slot, read }] : []
  })
  const values: (string | undefined)[] = []
  return {
    expression: `sql: ${expression.trim()}`,
    mayMatch: () => true,
    matches: (system, properties) => {
      values.length = 0
      readProperties(properties, keys, values)
      for (const { slot, read } of ofSystem) values[slot] = read(system) || undefined
      return condition(values) === truth.yes
    },
    isAll: false,
  }
}
