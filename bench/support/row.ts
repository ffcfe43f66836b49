import { parseArgs } from 'node:util'

export interface Budget {
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Measure {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly budget?: Budget
}

export interface RowResult {
  readonly measures: readonly Measure[]
  /** What a reader must know to judge the numbers. */
  readonly notes?: readonly string[]
}

export interface Row extends RowResult {
  readonly row: string
  readonly quick: boolean
  readonly seconds: number
}

export interface RowOptions {
  readonly quick: boolean
  /** Messages, where the row has a number of them that is worth changing. */
  readonly messages: number | undefined
}

/** Runs a row and prints its one line of JSON; everything else a row says goes to stderr. */
export const runRow = async (
  row: string,
  measure: (options: RowOptions) => Promise<RowResult>,
): Promise<void> => {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, messages: { type: 'string' } },
  })
  const { quick } = values
  const messages = values.messages === undefined ? undefined : Number(values.messages)
  const startMs = performance.now()
  const result = await measure({ quick, messages })
  const seconds = Math.round(performance.now() - startMs) / 1_000
  const line: Row = { row, quick, seconds, ...result }
  console.log(JSON.stringify(line))
}

export const progress = (text: string): void => console.error(`  ${text}`)

/** Undefined when the measure has no budget. */
export const isMet = ({ value, budget }: Measure): boolean | undefined => {
  if (budget === undefined) return undefined
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = budget
  return value >= atLeast && value <= atMost
}
