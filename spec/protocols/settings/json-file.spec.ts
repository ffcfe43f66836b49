import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseFile } from '../../../protocols/settings/json-file.ts'
import { holds } from '../../support/property.ts'

const JsonFile = suite('a JSON file with lines')

/** What the platform reads, flattened: objects are looked into unless they are empty. */
const flat = (value: object, prefix = ''): [string, unknown][] =>
  Object.entries(value).flatMap(([name, inner]: [string, unknown]): [string, unknown][] => {
    const path = `${prefix}${name}`
    const isSection = typeof inner === 'object' && inner !== null && !Array.isArray(inner)
    const members = isSection ? flat(inner, `${path}.`) : []
    return members.length > 0 ? members : [[path, isSection ? {} : inner]]
  })

const aScalar = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
)
const aName = fc
  .string({ minLength: 1 })
  .filter((name) => !name.includes('.') && name !== '__proto__')
const { object } = fc.letrec<{ object: object; value: unknown }>((tie) => ({
  object: fc.dictionary(aName, tie('value'), { maxKeys: 4 }),
  value: fc.oneof({ maxDepth: 3 }, aScalar, fc.array(aScalar, { maxLength: 3 }), tie('object')),
}))

JsonFile('reads what the platform reads, and knows the line of each value', () =>
  holds(
    fc.property(object, fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent)
      const { values, problems } = parseFile(text)
      assert.equal(problems, [])
      const read = [...values].map(([path, { value: each }]) => [path, each])
      assert.equal(read, flat(JSON.parse(text) as object))
      for (const [path, { line }] of values) {
        const name = JSON.stringify(path.split('.').at(-1))
        assert.ok(text.split('\n')[line - 1]?.includes(`${name}:`), `${path} at ${line}`)
      }
    }),
    { runs: 300 },
  ),
)

/** Texts that are nearly JSON: one place of a sound one is changed. */
const aDamaged = fc
  .record({
    value: object,
    at: fc.nat(),
    put: fc.constantFrom('', '{', '}', '"', ',', ':', ']', 'x', '\n'),
  })
  .map(({ value, at, put }) => {
    const text = JSON.stringify(value, undefined, 2)
    const place = at % (text.length + 1)
    return text.slice(0, place) + put + text.slice(place + 1)
  })

JsonFile('refuses what the platform refuses, and never throws', () =>
  holds(
    fc.property(fc.oneof(aDamaged, fc.string({ unit: 'binary' })), (text) => {
      const { problems } = parseFile(text)
      const isFlawed = problems.some(({ reason }) => !reason.endsWith('is said twice'))
      let isSound = false
      try {
        const value: unknown = JSON.parse(text)
        isSound = typeof value === 'object' && value !== null && !Array.isArray(value)
      } catch {
        isSound = false
      }
      assert.is(isFlawed, !isSound)
      const lines = text.split('\n').length
      for (const { line } of problems) assert.ok(line >= 1 && line <= lines)
    }),
    { runs: 500 },
  ),
)

JsonFile.run()
