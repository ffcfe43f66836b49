import fc from 'fast-check'

/** A condition as plain data: written as text for the filter, and judged by `holdsFor`. */
export type Model =
  | { readonly type: 'and' | 'or'; readonly parts: readonly Model[] }
  | { readonly type: 'not'; readonly part: Model }
  | { readonly type: 'bare'; readonly name: string }
  | { readonly type: 'constant'; readonly value: boolean | null }
  | { readonly type: 'compare'; readonly left: Side; readonly by: string; readonly right: Side }
  | ({
      readonly type: 'between'
      readonly bounds: readonly [Side, Side]
      readonly not: boolean
    } & Asked)
  | ({ readonly type: 'in'; readonly texts: readonly string[]; readonly not: boolean } & Asked)
  | ({ readonly type: 'null'; readonly not: boolean } & Asked)
  | ({
      readonly type: 'search'
      readonly by: string
      readonly text: string
      readonly not: boolean
    } & Asked)

interface Asked {
  readonly name: string
}

export type Side =
  | { readonly name: string }
  | { readonly text: string }
  | { readonly number: string }
  | { readonly boolean: boolean }

export type Properties = Readonly<Record<string, string>>

/** SQL's unknown is null; what RocketMQ fails on is thrown. */
type Judgement = boolean | null
class Unanswerable extends Error {}

/** The obvious way to judge, in exact arithmetic and with exceptions. */
export const holdsFor = (model: Model, properties: Properties): boolean => {
  try {
    return judge(model, properties) === true
  } catch (error) {
    if (error instanceof Unanswerable) return false
    throw error
  }
}

const judge = (model: Model, properties: Properties): Judgement => {
  const value = (name: string): string | null => properties[name] ?? null
  switch (model.type) {
    case 'and':
      return model.parts.slice(1).reduce<Judgement>(
        (left, part) => {
          if (left === false) return false
          const right = judge(part, properties)
          return right === false ? false : left === null || right === null ? null : true
        },
        judge(model.parts[0] as Model, properties),
      )
    case 'or':
      return model.parts.slice(1).reduce<Judgement>(
        (left, part) => {
          if (left === true) return true
          const right = judge(part, properties)
          return right === true ? true : left === null || right === null ? null : false
        },
        judge(model.parts[0] as Model, properties),
      )
    case 'not': {
      const judged = judge(model.part, properties)
      return judged === null ? null : !judged
    }
    case 'bare': {
      const text = value(model.name)
      return text === null ? null : text.toLowerCase() === 'true'
    }
    case 'constant':
      return model.value
    case 'compare':
      return compare(model.left, model.by, model.right, properties)
    case 'between': {
      const { name, bounds, not } = model
      const judged = judge(
        {
          type: 'and',
          parts: [
            { type: 'compare', left: { name }, by: '>=', right: bounds[0] },
            { type: 'compare', left: { name }, by: '<=', right: bounds[1] },
          ],
        },
        properties,
      )
      return judged === null ? null : judged !== not
    }
    case 'in': {
      const text = value(model.name)
      return text === null ? null : model.texts.includes(text) !== model.not
    }
    case 'null':
      return (value(model.name) === null) !== model.not
    case 'search': {
      const text = value(model.name)
      if (text === null) return null
      if (model.text === '') return false
      const begins = text.slice(0, model.text.length) === model.text
      const ends = text.slice(-model.text.length) === model.text
      const found = { CONTAINS: text.split(model.text).length > 1, STARTSWITH: begins }
      const judged = model.by === 'ENDSWITH' ? ends : found[model.by as 'CONTAINS']
      return judged !== model.not
    }
  }
}

const compare = (left: Side, by: string, right: Side, properties: Properties): Judgement => {
  const texts = [left, right].map((side) =>
    'name' in side ? (properties[side.name] ?? null) : String(Object.values(side)[0]),
  )
  const [one, other] = texts as [string | null, string | null]
  if (one === null || other === null) return null
  if (by === '=' || by === '<>') return isEqual(left, one, right, other) === (by === '=')
  const sign = order(one, other)
  return { '<': sign < 0, '<=': sign <= 0, '>': sign > 0, '>=': sign >= 0 }[by] ?? null
}

const isEqual = (left: Side, one: string, right: Side, other: string): boolean => {
  if ('number' in left || 'number' in right) return order(one, other) === 0
  if ('boolean' in left || 'boolean' in right)
    return (one.toLowerCase() === 'true') === (other.toLowerCase() === 'true')
  return one === other
}

const SCALE = 400
/** Numbers as whole multiples of 10^-400, so that nothing is rounded. */
const scaled = (text: string): bigint => {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text)
  const [, sign, whole = '', fraction = '', exponent = '0'] = match ?? []
  if (match === null || whole + fraction === '') throw new Unanswerable()
  const shift = SCALE - fraction.length + Number(exponent)
  const value = BigInt(whole + fraction) * 10n ** BigInt(shift)
  return sign === '-' ? -value : value
}

const order = (one: string, other: string): number => {
  const difference = scaled(one) - scaled(other)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

// ——— as text

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

const sideText = (side: Side): string => {
  if ('name' in side) return side.name
  if ('text' in side) return quoted(side.text)
  return 'number' in side ? side.number : side.boolean ? 'TRUE' : 'FALSE'
}

/** Tokens, so that a spec can put what it likes between them. */
export const tokensOf = (model: Model): string[] => {
  const no = 'not' in model && model.not ? ['NOT'] : []
  switch (model.type) {
    case 'and':
    case 'or':
      return model.parts.flatMap((part, index) => {
        const isBound = part.type === 'or' || part.type === model.type
        const inside = isBound ? ['(', ...tokensOf(part), ')'] : tokensOf(part)
        return index > 0 ? [model.type.toUpperCase(), ...inside] : inside
      })
    case 'not':
      return ['and', 'or'].includes(model.part.type)
        ? ['NOT', '(', ...tokensOf(model.part), ')']
        : ['NOT', ...tokensOf(model.part)]
    case 'bare':
      return [model.name]
    case 'constant':
      return [String(model.value).toUpperCase()]
    case 'compare':
      return [sideText(model.left), model.by, sideText(model.right)]
    case 'between':
      return [model.name, ...no, 'BETWEEN', ...model.bounds.map(sideText).join(' AND ').split(' ')]
    case 'in': {
      const texts = model.texts.flatMap((text) => [',', quoted(text)]).slice(1)
      return [model.name, ...no, 'IN', '(', ...texts, ')']
    }
    case 'null':
      return [model.name, 'IS', ...no, 'NULL']
    case 'search':
      return [model.name, ...no, model.by, quoted(model.text)]
  }
}

// ——— from chance

const names = ['a', 'b', 'c', '$d', '_e9', 'nota', 'TAGS'] as const
const integers = ['0', '3', '5', '10', '9007199254740992', '9007199254740993']
const decimals = ['2.5', '5.', '.5', '5.0', '1e1', '0.0', '1.5E-3']
const strange = ['', 'abc', 'ab', "it's", 'true', 'TRUE', 'False', ' 5', 'NaN', '0x10', '5l', '--']

const aName = fc.constantFrom(...names)
const aNumber = fc
  .tuple(fc.constantFrom('', '', '-', '+'), fc.constantFrom(...integers, ...decimals))
  .map(([sign, digits]) => sign + digits)
const aText = fc.oneof(fc.constantFrom(...strange), fc.constantFrom(...integers, ...decimals))
const property = fc.record({ name: aName })
const number = fc.record({ number: aNumber })
const text = fc.record({ text: aText })
const boolean = fc.record({ boolean: fc.boolean() })

const numeric = fc.oneof(property, number)
const pairs = fc.oneof(
  fc.tuple(property, fc.oneof(property, number, text, boolean)),
  fc.tuple(fc.oneof(number, text, boolean), property),
  fc.tuple(number, number),
  fc.tuple(text, text),
)

const aSearch = fc.constantFrom('CONTAINS', 'STARTSWITH', 'ENDSWITH')
const leaf: fc.Arbitrary<Model> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(pairs, fc.constantFrom('=', '<>')).map(compared) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.tuple(numeric, numeric), fc.constantFrom('<', '<=', '>', '>='))
      .map(compared),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('bare' as const), name: aName }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('constant' as const),
      value: fc.constantFrom(true, false, null),
    }),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        type: fc.constant('between' as const),
        name: aName,
        bounds: fc.tuple(numeric, numeric),
        not: fc.boolean(),
      })
      .filter(({ bounds: [low, high] }) => !isBackwards(low, high)),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('in' as const),
      name: aName,
      texts: fc.array(aText, { minLength: 1, maxLength: 6 }),
      not: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('null' as const),
      name: aName,
      not: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('search' as const),
      name: aName,
      by: aSearch,
      text: fc.oneof(aText, fc.constantFrom('a', 't', '5')),
      not: fc.boolean(),
    }),
  },
)

function compared([[left, right], by]: [[Side, Side], string]): Model {
  return { type: 'compare', left, by, right }
}

const isBackwards = (low: Side, high: Side): boolean =>
  'number' in low && 'number' in high && order(low.number, high.number) > 0

export const aCondition: fc.Arbitrary<Model> = fc.letrec<{ node: Model }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    { weight: 3, arbitrary: leaf },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constantFrom<'and' | 'or'>('and', 'or'),
        parts: fc.array(tie('node'), { minLength: 2, maxLength: 4 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('not' as const), part: tie('node') }) },
  ),
})).node

export const someProperties: fc.Arbitrary<Properties> = fc.dictionary(
  fc.constantFrom(...names.filter((name) => name !== 'TAGS'), 'A', 'other'),
  fc.oneof(aText, aNumber),
  { maxKeys: 6 },
)

/** Any blank between tokens, and keywords in any case. */
export const aLayout = fc.array(
  fc.tuple(fc.constantFrom(' ', '  ', '\n', '/* and */', '-- \n'), fc.nat(2)),
  {
    minLength: 1,
    maxLength: 8,
  },
)

const KEYWORD = /^(AND|OR|NOT|BETWEEN|IN|IS|NULL|TRUE|FALSE|CONTAINS|STARTSWITH|ENDSWITH)$/

export const written = (
  tokens: readonly string[],
  layout: readonly (readonly [string, number])[],
): string =>
  tokens
    .map((token, index) => {
      const [blank, casing] = layout[index % layout.length] as readonly [string, number]
      const isKeyword = KEYWORD.test(token)
      const lower = token.toLowerCase()
      const cased = [token, lower, lower.charAt(0).toUpperCase() + lower.slice(1)][casing] as string
      return (isKeyword ? cased : token) + blank
    })
    .join('')
