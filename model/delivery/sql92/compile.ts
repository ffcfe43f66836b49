import { equal, type Operand, ordered } from './comparison.ts'
import type { Expression, Property, SearchOperator } from './expression.ts'
import { type Numeric, numericOf } from './number.ts'
import { illegalAt } from './parse.ts'
import {
  and,
  type Condition,
  isTrueText,
  negatedIf,
  not,
  onText,
  or,
  truth,
  truthOf,
} from './truth.ts'

export interface Compiled {
  readonly names: readonly string[]
  readonly condition: Condition
}

const INTEGER_MAX = 2n ** 63n - 1n

/** Checks what is compared with what, and makes a closure of it. Throws `FILTER_ILLEGAL`. */
export const compileSql = (expression: Expression): Compiled => {
  const compiler = new Compiler()
  const condition = compiler.condition(expression)
  return { names: compiler.names, condition }
}

const searches: Record<SearchOperator, (value: string, text: string) => boolean> = {
  contains: (value, text) => value.includes(text),
  startsWith: (value, text) => value.startsWith(text),
  endsWith: (value, text) => value.endsWith(text),
}

class Compiler {
  readonly names: string[] = []

  condition(expression: Expression): Condition {
    switch (expression.kind) {
      case 'and':
        return and(expression.parts.map((part) => this.condition(part)))
      case 'or':
        return or(expression.parts.map((part) => this.condition(part)))
      case 'not':
        return not(this.condition(expression.part))
      case 'compare':
        return this.#compare(expression)
      case 'between':
        return this.#between(expression)
      case 'isNull': {
        const slot = this.#slotOf(expression, 'IS NULL')
        return (values) => truthOf((values[slot] === undefined) !== expression.isNegated)
      }
      case 'in': {
        const slot = this.#slotOf(expression, 'IN')
        const texts = new Set(expression.texts)
        return onText(slot, (value) => truthOf(texts.has(value) !== expression.isNegated))
      }
      case 'search':
        return this.#search(expression)
      case 'property':
        return isTrueText(this.#slot(expression))
      case 'boolean':
        return () => truthOf(expression.value)
      case 'null':
        return () => truth.unknown
      case 'text':
      case 'integer':
      case 'decimal':
      case 'signed':
        throw illegalAt(expression.at, 'a condition is expected here')
    }
  }

  #search(expression: Extract<Expression, { kind: 'search' }>): Condition {
    const { operator, text, isNegated } = expression
    const slot = this.#slotOf(expression, operator.toUpperCase())
    // Nothing contains the empty text, and nothing does not (RocketMQ #6915).
    if (text === '') return onText(slot, () => truth.no)
    const test = searches[operator]
    return onText(slot, (value) => truthOf(test(value, text) !== isNegated))
  }

  #between(expression: Extract<Expression, { kind: 'between' }>): Condition {
    const { value, at, isNegated } = expression
    const tested = this.#operand(value)
    const low = this.#operand(expression.low)
    const high = this.#operand(expression.high)
    if (low.kind === 'number' && high.kind === 'number' && low.value > high.value)
      throw illegalAt(at, 'the lower bound of BETWEEN is above the upper one')
    const parts = [ordered('>=', tested, low, at), ordered('<=', tested, high, at)]
    return negatedIf(isNegated, and(parts))
  }

  #compare({ operator, left, right, at }: Extract<Expression, { kind: 'compare' }>): Condition {
    const one = this.#operand(left)
    const other = this.#operand(right)
    if (operator === '=') return equal(one, other, at)
    return operator === '<>' ? not(equal(one, other, at)) : ordered(operator, one, other, at)
  }

  #operand(expression: Expression): Operand {
    switch (expression.kind) {
      case 'property':
        return { kind: 'property', slot: this.#slot(expression) }
      case 'text':
        return expression
      case 'integer':
      case 'decimal':
        return { kind: 'number', value: literalOf(expression) }
      case 'signed': {
        const operand = this.#operand(expression.value)
        if (operand.kind !== 'number')
          throw illegalAt(expression.at, 'a sign stands before a number only')
        return expression.sign === '-' ? { kind: 'number', value: -operand.value } : operand
      }
      case 'null':
        throw illegalAt(expression.at, 'NULL is compared with IS NULL only')
      case 'boolean':
      case 'not':
      case 'and':
      case 'or':
      case 'compare':
      case 'isNull':
      case 'between':
      case 'in':
      case 'search':
        return { kind: 'condition', condition: this.condition(expression) }
    }
  }

  #slotOf({ value, at }: { value: Expression; at: number }, operator: string): number {
    if (value.kind === 'property') return this.#slot(value)
    throw illegalAt(at, `${operator} asks about a property`)
  }

  #slot({ name }: Property): number {
    const known = this.names.indexOf(name)
    return known < 0 ? this.names.push(name) - 1 : known
  }
}

const literalOf = (expression: Extract<Expression, { kind: 'integer' | 'decimal' }>): Numeric => {
  const { kind, digits, at } = expression
  if (kind === 'integer' && BigInt(digits.slice(0, 20)) > INTEGER_MAX)
    throw illegalAt(at, 'an integer has at most 63 bits')
  const value = numericOf(digits) ?? Number.NaN
  if (!Number.isFinite(Number(value))) throw illegalAt(at, 'the number is too large')
  return value
}
