import fc, { type IAsyncProperty, type IProperty, type RunDetails } from 'fast-check'

const RUNS = Number(process.env['RUNS'] ?? 0)
/** `seed` or `seed/path`, as a failure prints it. */
const [SEED, PATH] = (process.env['SEED'] ?? '').split('/')

/**
 * Asserts a property. `RUNS=5000` overrides how often; `SEED=…` repeats a failure, which says
 * what to put there.
 */
export const holds = async <Values>(
  property: IAsyncProperty<Values> | IProperty<Values>,
  { runs = 100 }: { runs?: number } = {},
): Promise<void> => {
  const repeat = SEED ? { seed: Number(SEED), ...(PATH && { path: PATH }) } : {}
  const details = await fc.check(property as IAsyncProperty<Values>, {
    numRuns: RUNS || runs,
    ...repeat,
  })
  if (details.failed) throw new Error(await failureOf(details), { cause: details.errorInstance })
}

/**
 * Asserts a property as {@link holds} does, and that everything listed was counted in `tally`
 * meanwhile, or the property says less than it seems to. What is rare gets up to four rounds more:
 * a happening seen four times in a round is missing from one round in fifty, and from one row of
 * five in hundreds of millions. Runs that were asked for by hand are not held to the list.
 */
export const holdsAndShows = async <Values>(
  property: IAsyncProperty<Values> | IProperty<Values>,
  { runs, tally, happenings }: Shown,
): Promise<void> => {
  const missing = (): string[] => happenings.filter((happening) => !tally.has(happening))
  for (let round = 0; round < 5; round += 1) {
    await holds(property, { runs })
    if (process.env['TALLY']) console.log(Object.fromEntries(tally))
    if (process.env['SEED'] || process.env['RUNS'] || missing().length === 0) return
  }
  throw new Error(`never happened: ${missing().join(', ')}`)
}

interface Shown {
  readonly runs: number
  readonly tally: ReadonlyMap<string, number>
  readonly happenings: readonly string[]
}

const failureOf = async <Values>(details: RunDetails<Values>): Promise<string> => {
  const { seed, counterexamplePath, errorInstance } = details
  const report = await fc.asyncDefaultReportMessage(details)
  const stack = errorInstance instanceof Error ? `\n${errorInstance.stack}` : ''
  return `Repeat with SEED=${seed}/${counterexamplePath ?? ''}\n${report}${stack}`
}
