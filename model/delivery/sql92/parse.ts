import { BrokerError } from '../../errors.ts'
import type { Expression } from './expression.ts'
import { parse as parseText } from './parser.generated.ts'

export const sqlLimits = {
  /** Characters of an expression. */
  lengthMax: 16_384,
  /** Parentheses, NOTs and signs within each other. */
  depthMax: 64,
} as const

/** What is wrong with an expression, and at which character, counted from 1. */
export const illegalAt = (position: number, reason: string): BrokerError =>
  new BrokerError('FILTER_ILLEGAL', { reason, position })

interface Complaint {
  readonly message: string
  readonly location: { readonly start: { readonly offset: number } }
}

const isComplaint = (error: unknown): error is Complaint =>
  error instanceof Error && 'location' in error

/** The form of an expression; what it compares is checked when it is compiled. */
export const parseSql = (text: string): Expression => {
  const { lengthMax, depthMax } = sqlLimits
  if (text.length > lengthMax)
    throw illegalAt(lengthMax + 1, `it is longer than ${lengthMax} characters`)
  try {
    return parseText(text, { depthMax }) as Expression
  } catch (error) {
    if (!isComplaint(error)) throw error
    throw illegalAt(error.location.start.offset + 1, error.message)
  }
}
