/**
 * SQL's three truth values, and a fourth for what cannot be evaluated, such as an order of texts:
 * it ends the evaluation, and the message does not match, also under a NOT (RocketMQ 7.3).
 */
export const truth = { no: 0, yes: 1, unknown: 2, fault: 3 } as const
export type Truth = (typeof truth)[keyof typeof truth]

/** The properties an expression asks for, in the order of `names`; undefined when missing. */
export type Values = readonly (string | undefined)[]
export type Condition = (values: Values) => Truth

export const truthOf = (isTrue: boolean): Truth => (isTrue ? truth.yes : truth.no)

export const not =
  (condition: Condition): Condition =>
  (values) => {
    const value = condition(values)
    if (value === truth.yes) return truth.no
    return value === truth.no ? truth.yes : value
  }

export const negatedIf = (isNegated: boolean, condition: Condition): Condition =>
  isNegated ? not(condition) : condition

/** From left to right, no further than needed: `decisive` or a fault is the answer at once. */
const joined =
  (parts: readonly Condition[], decisive: Truth, otherwise: Truth): Condition =>
  (values) => {
    let result = otherwise
    for (const part of parts) {
      const value = part(values)
      if (value === decisive || value === truth.fault) return value
      if (value === truth.unknown) result = value
    }
    return result
  }

export const and = (parts: readonly Condition[]) => joined(parts, truth.no, truth.yes)
export const or = (parts: readonly Condition[]) => joined(parts, truth.yes, truth.no)

/** Asks the text of a property; unknown when the message has none. */
export const onText =
  (slot: number, test: (value: string) => Truth): Condition =>
  (values) => {
    const value = values[slot]
    return value === undefined ? truth.unknown : test(value)
  }

/** Whatever is not `true`, in any case, is false (RocketMQ: `Boolean.valueOf`). */
export const isTrueText = (slot: number): Condition =>
  onText(slot, (value) => truthOf(value.length === 4 && value.toLowerCase() === 'true'))
