export type Cell = string | number | undefined

const textOf = (cell: Cell): string =>
  cell === undefined ? '-' : typeof cell === 'number' ? cell.toLocaleString('en-US') : cell

/** Columns with a head, numbers to the right. What is unknown is a dash. */
export const table = (heads: readonly string[], rows: readonly (readonly Cell[])[]): string[] => {
  const texts = rows.map((row) => row.map(textOf))
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...texts.map((row) => row[column]?.length ?? 0)),
  )
  const isNumeric = heads.map((_, column) =>
    rows.some((row) => typeof row[column] === 'number' || /^\d/.test(row[column] ?? '')),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        isNumeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [line(heads), ...texts.map(line)]
}

/** One thing: names and values below each other. */
export const fields = (entries: readonly (readonly [name: string, value: Cell])[]): string[] => {
  const width = Math.max(...entries.map(([name]) => name.length))
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${textOf(value)}`)
}
