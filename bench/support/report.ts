import { isMet, type Measure, type Row } from './row.ts'

export interface Report {
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memoryGiB: number
    readonly system: string
    readonly node: string
    readonly packages: Readonly<Record<string, string>>
  }
  readonly quick: boolean
  readonly rows: readonly Row[]
}

const SMALL = 100

/** Three digits for what is small, whole numbers for the rest. */
const numberText = (value: number): string =>
  Math.abs(value) < SMALL && !Number.isInteger(value)
    ? String(Number(value.toPrecision(3)))
    : Math.round(value).toLocaleString('en')

const withUnit = (value: number, unit: string): string => `${numberText(value)} ${unit}`.trim()

const budgetText = ({ budget, unit }: Measure): string => {
  if (budget?.atLeast !== undefined) return `≥ ${withUnit(budget.atLeast, unit)}`
  if (budget?.atMost !== undefined) return `≤ ${withUnit(budget.atMost, unit)}`
  return ''
}

const verdictOf = (measure: Measure): string => {
  const met = isMet(measure)
  return met === undefined ? '' : met ? 'met' : 'missed'
}

const cellsOf = (row: Row): string[][] =>
  row.measures.map((measure, index) => [
    index === 0 ? row.row : '',
    measure.name,
    withUnit(measure.value, measure.unit),
    budgetText(measure),
    verdictOf(measure),
  ])

const machineText = ({ machine, quick }: Report): string => {
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`)
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`,
    `Node ${machine.node}, ${packages.join(', ')}${quick ? '; quick runs' : ''}`,
  ].join('; ')
}

const HEAD = ['row', 'what', 'measured', 'budget', '']

/** For a terminal. */
export const tableOf = (report: Report): string => {
  const lines = [HEAD, ...report.rows.flatMap(cellsOf)]
  const widths = HEAD.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)))
  const text = lines.map((cells) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return [...text, '', machineText(report)].join('\n')
}

/** For `docs/benchmarks.md`. */
export const markdownOf = (report: Report): string => {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const remarks = report.rows.map((row) => `- **${row.row}**: ${row.notes?.join(' ') ?? ''}.`)
  return [
    '',
    `${machineText(report)}.`,
    '',
    line(HEAD),
    line(HEAD.map((_, at) => (at === 2 ? '--:' : '---'))),
    ...report.rows.flatMap(cellsOf).map(line),
    '',
    ...remarks,
    '',
    '',
  ].join('\n')
}
