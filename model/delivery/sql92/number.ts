/** Whole numbers that a double cannot hold are compared exactly. */
export type Numeric = number | bigint

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const INTEGER = /^[+-]?\d+$/
/** More digits than this belong to no identifier; they are compared as doubles. */
const INTEGER_LENGTH_MAX = 40

/** The number that a text spells out; undefined when it spells none. */
export const numericOf = (text: string): Numeric | undefined => {
  if (!NUMBER.test(text)) return undefined
  const number = Number(text)
  if (Number.isSafeInteger(number) || text.length > INTEGER_LENGTH_MAX || !INTEGER.test(text))
    return number
  return BigInt(text.startsWith('+') ? text.slice(1) : text)
}
