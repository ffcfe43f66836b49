import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import peggy from 'peggy'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Filters } from '../../../model/delivery/filters.ts'
import { sqlLimits } from '../../../model/delivery/sql92/parse.ts'
import { sqlFilter } from '../../../model/delivery/sql92/sql-filter.ts'
import { type BrokerError, isBrokerError } from '../../../model/errors.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import { encodeProperties } from '../../../model/message/properties-block.ts'
import { holds } from '../../support/property.ts'
import {
  aCondition,
  aLayout,
  holdsFor,
  type Properties,
  someProperties,
  tokensOf,
  written,
} from './conditions.ts'

const Sql = suite('SQL92 filters')

const about = { messageId: 'id', bornAtMs: 1, bornHost: 'here' }
const systemOf = (draft: { tag?: string; keys?: string[] } = {}) =>
  encodeDraft({ body: 'x', ...draft }, about).system
const plain = systemOf()

const matches = (sql: string, properties: Properties): boolean =>
  sqlFilter(sql).matches(plain, encodeProperties(properties))

const refusal = (sql: string): BrokerError<'FILTER_ILLEGAL'> => {
  try {
    sqlFilter(sql)
  } catch (error) {
    if (isBrokerError(error, 'FILTER_ILLEGAL')) return error
    throw error
  }
  throw new Error(`'${sql}' was taken`)
}

Sql('match what an evaluator in exact arithmetic says', async () => {
  const seen = { matched: 0, not: 0 }
  const property = fc.property(aCondition, someProperties, aLayout, (model, properties, layout) => {
    const sql = written(tokensOf(model), layout)
    const expected = holdsFor(model, properties)
    if (expected) seen.matched++
    else seen.not++
    assert.is(matches(sql, properties), expected, sql)
  })
  await holds(property, { runs: 3_000 })
  assert.ok(Math.min(seen.matched, seen.not) > 0)
})

/** Expressions, properties and answers of RocketMQ's ExpressionTest and of its examples. */
const fromRocketMq: readonly [sql: string, properties: Properties, isMatch: boolean][] = [
  ['a=3 and b<>4 And c>5 AND d<=4', { a: '3', b: '5', c: '6', d: '1' }, true],
  ['a=3 and b<>4 And c>5 AND d<=4', { a: '4', b: '5', c: '6', d: '1' }, false],
  ['a=3 or b<>4 Or c>5 OR d<=4', { a: '3' }, true],
  ['a=3 or b<>4 Or c>5 OR d<=4', { a: '4', b: '5' }, true],
  ['a=3 or b<>4 Or c>5 OR d<=4', { a: '4', b: '4', c: '6' }, true],
  ['a=3 or b<>4 Or c>5 OR d<=4', { a: '4', b: '4', c: '3', d: '2' }, true],
  ['a=3 or b<>4 Or c>5 OR d<=4', { a: '4', b: '4', c: '3', d: '10' }, false],
  ["a in ('3', '4', '5')", { a: '3' }, true],
  ["a in ('3', '4', '5')", { a: '5' }, true],
  ["a in ('3', '4', '5')", { a: '8' }, false],
  ["a not in ('3', '4', '5')", { a: '8' }, true],
  ["a not in ('3', '4', '5')", { a: '4' }, false],
  ["a not in ('3', '4', '5')", {}, false],
  ['a between 2 and 10', { a: '2' }, true],
  ['a between 2 and 10', { a: '10' }, true],
  ['a between 2 and 10', { a: '1' }, false],
  ['a between 2 and 10', { a: '11' }, false],
  ['a not between 2 and 10', { a: '1' }, true],
  ['a not between 2 and 10', { a: '11' }, true],
  ['a not between 2 and 10', { a: '10' }, false],
  ['a between 0 and 100', { a: 'abc' }, false],
  ['a between up and low', { a: '3.14' }, false],
  ['a between up and low', { a: '3.14', up: 'up', low: 'low' }, false],
  ['key is not null and key between 0 and 100', { key: 'con' }, false],
  ['a is null', { abc: '2' }, true],
  ['a is null', { a: '2' }, false],
  ['a is not null', { a: '2' }, true],
  ['a is not null', { abc: '2' }, false],
  ["a is not null and a='hello'", { a: 'hello' }, true],
  ["a is not null and a='hello'", {}, false],
  ["a is null OR a='hello'", {}, true],
  ["a is null OR a='hello'", { a: 'hello' }, true],
  ["a is null OR a='hello'", { a: 'abc' }, false],
  ['a=TRUE OR b=FALSE', { a: 'true', b: 'false' }, true],
  ['a=TRUE OR b=FALSE', { a: 'false', b: 'true' }, false],
  ['a=b', { a: '3.14', b: '3.14' }, true],
  ['a<>b', { a: '3.14', b: '3.14' }, false],
  ['a<>b', { a: '3.14', b: '3.141' }, true],
  ['a > 3.1E10', { a: String(3.1415e10) }, true],
  ['a > 3.14', { a: '3.1415' }, true],
  ['a > b', { a: '10', b: '20' }, false],
  ['a > b', { a: '20', b: '10' }, true],
  ["value contains 'axb'", { value: 'axb' }, true],
  ["value not contains 'axb'", { value: 'axb' }, false],
  ["value contains ''", { value: 'axb' }, false],
  ["value not contains ''", { value: 'axb' }, false],
  ["value startswith 'ax' and value endswith 'xb'", { value: 'axxb' }, true],
  ["value not startswith 'x'", { value: 'axb' }, true],
  ["value not endswith 'b'", { value: 'axb' }, false],
  ["value not contains 'x'", {}, false],
]

for (const [sql, properties, isMatch] of fromRocketMq)
  Sql(`${sql} of ${JSON.stringify(properties)} is ${isMatch}`, () =>
    assert.is(matches(sql, properties), isMatch),
  )

/** Where RocketMQ is silent or trips; docs/filters.md says each. */
const ofOurs: readonly [sql: string, properties: Properties, isMatch: boolean][] = [
  ['a > 5', { a: '5.5' }, true],
  ['a = 5', { a: '5.0' }, true],
  ['a > 5', { a: '3000000000' }, true],
  ['a = 9007199254740993', { a: '9007199254740992' }, false],
  ['a = 9007199254740993', { a: '9007199254740993' }, true],
  ['a = -9223372036854775807', { a: '-9223372036854775807' }, true],
  ['5 < a', { a: '6' }, true],
  ['a > 5L', { a: '6' }, true],
  ['a = +5', { a: '5' }, true],
  ['NOT a > 5', { a: 'x' }, false],
  ["b = 'x' OR a > 5", { a: 'x', b: 'x' }, true],
  ["a > 5 OR b = 'x'", { a: 'x', b: 'x' }, false],
  ["b = 'y' AND a > 5", { a: 'x', b: 'x' }, false],
  ["NOT (b = 'y' AND a > 5)", { a: 'x', b: 'x' }, true],
  ["NOT (a = 'x')", {}, false],
  ["NOT a = 'x' AND b = 'x'", { a: 'y', b: 'x' }, true],
  ['NOT NOT a IS NULL', {}, true],
  ["NOT a IN ('x')", { a: 'y' }, true],
  ['a = b', {}, false],
  ['a <> b', { a: 'x' }, false],
  ["a = ''''", { a: "'" }, true],
  ["a = ''", { a: '' }, true],
  ['urgent', { urgent: 'True' }, true],
  ['NOT urgent', { urgent: 'no' }, true],
  ['NOT urgent', {}, false],
  ['(a = 1) = TRUE', { a: '1' }, true],
  ['A = 1', { a: '1' }, false],
  ['android = 1 AND notes = 2', { android: '1', notes: '2' }, true],
  ['a=1and b=2', { a: '1', b: '2' }, true],
  ['TRUE', {}, true],
  ['NULL', {}, false],
  ['a = 1 -- the rest is said', { a: '1' }, true],
  ['a /* first */ = /* *then* */ 1', { a: '1' }, true],
]

for (const [sql, properties, isMatch] of ofOurs)
  Sql(`${sql} of ${JSON.stringify(properties)} is ${isMatch}, by our own rules`, () =>
    assert.is(matches(sql, properties), isMatch),
  )

Sql('tag and keys of a message are TAGS and KEYS', () => {
  const filter = sqlFilter("(TAGS is not null and TAGS in ('TagA', 'TagB')) and a between 0 and 3")
  const a2 = encodeProperties({ a: '2' })
  assert.ok(filter.matches(systemOf({ tag: 'TagB' }), a2))
  assert.not(filter.matches(systemOf({ tag: 'TagC' }), a2))
  assert.not(filter.matches(systemOf(), a2))
  const keyed = systemOf({ keys: ['k1', 'k2'] })
  assert.ok(sqlFilter("KEYS = 'k1 k2'").matches(keyed, a2))
  assert.ok(sqlFilter('KEYS IS NULL').matches(systemOf(), a2))
})

Sql('one message leaves nothing behind for the next', () => {
  const filter = sqlFilter("a = 'x' OR b = 'x'")
  assert.ok(filter.matches(plain, encodeProperties({ a: 'x' })))
  assert.not(filter.matches(plain, encodeProperties({ c: 'x' })))
  assert.not(filter.matches(plain, Buffer.alloc(0)))
})

const illegal: readonly [sql: string, position: number, reason: RegExp][] = [
  ['', 1, /Expected/],
  ['   ', 4, /Expected/],
  ['a and between 2 and 10', 7, /Expected/],
  [' a between 10 and 0', 4, /lower bound/],
  ['a > 100000000000000000000000', 5, /63 bits/],
  ['a > 9223372036854775808', 5, /63 bits/],
  ['a > 1e400', 5, /too large/],
  ["a > 'x'", 3, /a text has none/],
  ['a > TRUE', 3, /a condition has none/],
  ['a = NULL', 5, /IS NULL/],
  ["5 = 'x'", 3, /never equal/],
  ['TRUE = 5', 6, /never equal/],
  ["'x' = 5", 5, /never equal/],
  ["'x'", 1, /a condition is expected/],
  ['a = 1 AND 5', 11, /a condition is expected/],
  ['-a = 5', 1, /a number only/],
  ["5 IN ('a')", 3, /asks about a property/],
  ['(a = 1) IS NULL', 9, /asks about a property/],
  ['a IN (5)', 7, /text/],
  ['a IN ()', 7, /text/],
  ['a CONTAINS b', 12, /text/],
  ["a LIKE 'x'", 3, /Expected/],
  ['a = 1 b', 7, /Expected/],
  ['(a = 1', 7, /end of input/],
  ["a = 'x", 5, /Expected/],
  ['a = b = c', 7, /Expected/],
  ['a = 007', 5, /Expected/],
  ['order by', 7, /Expected/],
  ['select-1', 7, /Expected/],
  ['and', 1, /Expected/],
  ['a.b = 1', 2, /Expected/],
]

for (const [sql, position, reason] of illegal)
  Sql(`refuses ${JSON.stringify(sql)} at position ${position}`, () => {
    const { params, message } = refusal(sql)
    assert.is(params.position, position, message)
    assert.match(message, reason)
  })

Sql('refuse whatever they cannot read with a position, and fail in no other way', async () => {
  const piece = fc.oneof(
    fc.constantFrom('a', '5', "'x'", '(', ')', ',', 'NOT', 'AND', 'BETWEEN', 'IN', 'IS', 'NULL'),
    fc.constantFrom('=', '<>', '<', '>', '-', '+', '.', "'", '--', '/*', '*/', 'CONTAINS', 'TRUE'),
    fc.string({ maxLength: 3 }),
  )
  const property = fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
    const sql = pieces.join(' ')
    try {
      sqlFilter(sql).matches(plain, encodeProperties({ a: 'x' }))
    } catch (error) {
      assert.ok(isBrokerError(error, 'FILTER_ILLEGAL'), String(error))
      const { position = 0 } = error.params
      assert.ok(position >= 1 && position <= sql.length + 1)
    }
  })
  await holds(property, { runs: 2_000 })
})

Sql('bound nesting and length', () => {
  const { depthMax, lengthMax } = sqlLimits
  const nested = (depth: number) => `${'('.repeat(depth)}a = 1${')'.repeat(depth)}`
  assert.ok(matches(nested(depthMax), { a: '1' }))
  assert.is(refusal(nested(depthMax + 1)).params.position, depthMax + 2)
  for (const deep of ['(', 'NOT ', '- ', '(NOT '])
    assert.match(refusal(deep.repeat(lengthMax / deep.length)).message, /nested deeper/)
  assert.match(refusal(`a = '${'x'.repeat(lengthMax)}'`).message, /longer than/)
  const wide = Array.from({ length: 1_500 }, () => 'a = 1').join(' AND ')
  assert.ok(matches(wide, { a: '1' }))
})

Sql('are compiled once, and the oldest is forgotten', () => {
  const filters = new Filters({ entriesMax: 3, charactersMax: 100 })
  const first = filters.bySql('a = 1')
  assert.is(filters.bySql('a = 1'), first)
  assert.is.not(filters.byTags('a = 1'), first)
  filters.bySql('b = 1')
  filters.bySql('a = 1')
  filters.bySql('c = 1')
  assert.is(filters.size, 3)
  assert.is(filters.bySql('a = 1'), first)
  filters.bySql(`a = '${'x'.repeat(80)}'`)
  assert.is(filters.size, 2)
  filters.bySql(`a = '${'x'.repeat(100)}'`)
  assert.is(filters.size, 2)
  assert.throws(
    () => filters.bySql('a ='),
    (error: unknown) => isBrokerError(error),
  )
  assert.is(filters.size, 2)
})

Sql('are read by a parser that is up to date with its grammar: npm run grammar', async () => {
  const folder = new URL('../../../model/delivery/sql92/', import.meta.url)
  const grammar = await readFile(new URL('grammar.peggy', folder), 'utf8')
  const parser = await readFile(new URL('parser.generated.ts', folder), 'utf8')
  assert.ok(parser === peggy.generate(grammar, { output: 'source', format: 'es' }))
})

Sql.run()
