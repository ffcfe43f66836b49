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

const failureOf = async <Values>(details: RunDetails<Values>): Promise<string> => {
  const { seed, counterexamplePath, errorInstance } = details
  const report = await fc.asyncDefaultReportMessage(details)
  const stack = errorInstance instanceof Error ? `\n${errorInstance.stack}` : ''
  return `Repeat with SEED=${seed}/${counterexamplePath ?? ''}\n${report}${stack}`
}
