import type { CompareOperator } from './expression.ts'
import { type Numeric, numericOf } from './number.ts'
import { illegalAt } from './parse.ts'
import { type Condition, isTrueText, onText, type Truth, truth, truthOf } from './truth.ts'

/** What stands on a side of a comparison. `slot` is the place of a property among the values. */
export type Operand =
  | { readonly kind: 'property'; readonly slot: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'number'; readonly value: Numeric }
  | { readonly kind: 'condition'; readonly condition: Condition }

const named: Record<Operand['kind'], string> = {
  property: 'a property',
  text: 'a text',
  number: 'a number',
  condition: 'a condition',
}

type Order = Exclude<CompareOperator, '<>'>

const numericTests: Record<Order, (left: Numeric, right: Numeric) => boolean> = {
  '=': (left, right) => !(left < right) && !(left > right),
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
}

const onNumber = (slot: number, test: (value: Numeric) => boolean): Condition =>
  onText(slot, (text) => {
    const value = numericOf(text)
    return value === undefined ? truth.fault : truthOf(test(value))
  })

const onTexts =
  (one: number, other: number, test: (left: string, right: string) => Truth): Condition =>
  (values) => {
    const left = values[one]
    const right = values[other]
    return left === undefined || right === undefined ? truth.unknown : test(left, right)
  }

const same =
  (one: Condition, other: Condition): Condition =>
  (values) => {
    const left = one(values)
    if (left >= truth.unknown) return left
    const right = other(values)
    return right >= truth.unknown ? right : truthOf(left === right)
  }

export const equal = (one: Operand, other: Operand, at: number): Condition => {
  if (other.kind === 'property' && one.kind !== 'property') return equal(other, one, at)
  if (one.kind === 'property') {
    const { slot } = one
    switch (other.kind) {
      case 'property':
        return onTexts(slot, other.slot, (left, right) => truthOf(left === right))
      case 'text':
        return onText(slot, (value) => truthOf(value === other.value))
      case 'number':
        return onNumber(slot, (value) => numericTests['='](value, other.value))
      case 'condition':
        return same(isTrueText(slot), other.condition)
    }
  }
  if (one.kind === 'condition' && other.kind === 'condition')
    return same(one.condition, other.condition)
  if (one.kind === 'text' && other.kind === 'text') return () => truthOf(one.value === other.value)
  if (one.kind === 'number' && other.kind === 'number')
    return () => truthOf(numericTests['='](one.value, other.value))
  throw illegalAt(at, `${named[one.kind]} is never equal to ${named[other.kind]}`)
}

export const ordered = (operator: Order, one: Operand, other: Operand, at: number): Condition => {
  const test = numericTests[operator]
  for (const { kind } of [one, other])
    if (kind === 'text' || kind === 'condition')
      throw illegalAt(at, `only numbers have an order, ${named[kind]} has none`)
  if (one.kind === 'property') {
    if (other.kind === 'property')
      return onTexts(one.slot, other.slot, (left, right) => {
        const numbers = [numericOf(left), numericOf(right)] as const
        if (numbers[0] === undefined || numbers[1] === undefined) return truth.fault
        return truthOf(test(numbers[0], numbers[1]))
      })
    if (other.kind === 'number') return onNumber(one.slot, (value) => test(value, other.value))
  }
  if (one.kind === 'number' && other.kind === 'property')
    return onNumber(other.slot, (value) => test(one.value, value))
  if (one.kind === 'number' && other.kind === 'number')
    return () => truthOf(test(one.value, other.value))
  throw illegalAt(at, 'only numbers have an order')
}
