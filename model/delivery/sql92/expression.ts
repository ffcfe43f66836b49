/** Where an expression begins in its text, counted from 1. */
interface Placed {
  readonly at: number
}

export interface Property extends Placed {
  readonly kind: 'property'
  readonly name: string
}

export type Literal = Placed &
  (
    | { readonly kind: 'text'; readonly value: string }
    | { readonly kind: 'integer' | 'decimal'; readonly digits: string }
    | { readonly kind: 'boolean'; readonly value: boolean }
    | { readonly kind: 'null' }
  )

export type CompareOperator = '=' | '<>' | '<' | '<=' | '>' | '>='
export type SearchOperator = 'contains' | 'startsWith' | 'endsWith'

/** What the grammar makes of a text. `IN` and its like may be negated with `NOT` in between. */
export type Expression =
  | Property
  | Literal
  | (Placed &
      (
        | { readonly kind: 'and' | 'or'; readonly parts: readonly Expression[] }
        | { readonly kind: 'not'; readonly part: Expression }
        | { readonly kind: 'signed'; readonly sign: '+' | '-'; readonly value: Expression }
        | {
            readonly kind: 'compare'
            readonly operator: CompareOperator
            readonly left: Expression
            readonly right: Expression
          }
        | { readonly kind: 'isNull'; readonly value: Expression; readonly isNegated: boolean }
        | {
            readonly kind: 'between'
            readonly value: Expression
            readonly low: Expression
            readonly high: Expression
            readonly isNegated: boolean
          }
        | {
            readonly kind: 'in'
            readonly value: Expression
            readonly texts: readonly string[]
            readonly isNegated: boolean
          }
        | {
            readonly kind: 'search'
            readonly operator: SearchOperator
            readonly value: Expression
            readonly text: string
            readonly isNegated: boolean
          }
      ))
