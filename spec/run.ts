import { readdir } from 'node:fs/promises'
import { join } from 'node:path/posix'
import { runSpecFiles, type SpecResult } from './support/spec-runner.ts'

/**
 * `npm run spec` runs every spec, `npm run spec -- storage/level` those whose path contains one
 * of the arguments. Each file is a process of its own; the last line is the sum.
 */
const FILES_AT_ONCE = 2
const LIMIT_MS = 180_000

/** Files that may take longer, by the path of the file. */
export const limitsMs: Readonly<Record<string, number>> = {}

const pathsMatching = async (filters: readonly string[]): Promise<string[]> => {
  const paths = (await readdir('spec', { recursive: true }))
    .map((file) => join('spec', file))
    .filter((path) => path.endsWith('.spec.ts'))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
  return paths.sort()
}

const report = ({ path, passed, problem, durationMs, output }: SpecResult): void => {
  const seconds = (durationMs / 1_000).toFixed(1)
  if (problem === undefined) console.log(`ok    ${path} (${passed} passed, ${seconds} s)`)
  else console.log(`FAIL  ${path} (${problem}, ${seconds} s)\n${output}`)
}

const skippedIn = ({ path, output }: SpecResult): string[] =>
  output
    .split('\n')
    .flatMap((line) => /SKIPPED:.*/.exec(line)?.[0] ?? [])
    .map((line) => `${line} [${path}]`)

const paths = await pathsMatching(process.argv.slice(2))
if (paths.length === 0) console.log('no spec has such a path')
const files = paths.map((path) => ({ path, limitMs: limitsMs[path] ?? LIMIT_MS }))
const results = await runSpecFiles(files, { atOnce: FILES_AT_ONCE, onResult: report })

for (const line of results.flatMap(skippedIn)) console.log(line)
const sum = (count: (result: SpecResult) => number) =>
  results.reduce((total, result) => total + count(result), 0)
const failed = sum((result) => result.failed)
process.exitCode = failed > 0 || paths.length === 0 ? 1 : 0
console.log(`${sum((result) => result.passed)} passed, ${failed} failed`)
