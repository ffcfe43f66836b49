import { spawn } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'

/** How long the last output of an ended process may take to arrive. */
const PIPES_MS = 2_000

export interface SpecResult {
  readonly path: string
  readonly passed: number
  /** At least one when the file as a whole failed. */
  readonly failed: number
  /** Why the file failed, or undefined. */
  readonly problem: string | undefined
  readonly durationMs: number
  readonly output: string
}

export interface SpecFile {
  readonly path: string
  readonly limitMs: number
}

/** Runs a spec file as a process of its own, which cannot hang longer than its limit. */
export const runSpecFile = async ({ path, limitMs }: SpecFile): Promise<SpecResult> => {
  const startMs = performance.now()
  const { output, ending } = await outputOf(['-C', 'development', '--import', 'tsx', path], limitMs)
  const total = sumOf('Total', output)
  const passed = sumOf('Passed', output)
  const problem =
    ending ?? (total === 0 ? 'ran no tests: is .run() missing?' : failedIn(total, passed))
  const failed = problem === undefined ? 0 : Math.max(1, total - passed)
  return { path, passed, failed, problem, durationMs: performance.now() - startMs, output }
}

/** Runs the files, so many at a time, and hands over each result as it comes. */
export const runSpecFiles = async (
  files: readonly SpecFile[],
  { atOnce, onResult }: { atOnce: number; onResult: (result: SpecResult) => void },
): Promise<SpecResult[]> => {
  const waiting = [...files]
  const results: SpecResult[] = []
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runSpecFile(file)
      results.push(result)
      onResult(result)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return results
}

const failedIn = (total: number, passed: number): string | undefined =>
  passed === total ? undefined : `${total - passed} of ${total} failed`

/** uvu's summary; a file whose suites start late prints more than one. */
const sumOf = (label: string, output: string): number =>
  [...output.matchAll(new RegExp(`^  ${label}: +(\\d+)$`, 'gm'))].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  )

const outputOf = (
  args: readonly string[],
  limitMs: number,
): Promise<{ output: string; ending: string | undefined }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    let isLate = false
    const limit = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, limitMs)
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', reject)
    let ending: string | undefined
    child.on('exit', (code, signal) => {
      clearTimeout(limit)
      ending = endingOf({ code, signal, isLate, limitMs })
      // A grandchild left behind would keep the pipes open beyond every limit.
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, PIPES_MS).unref()
    })
    child.on('close', () => {
      const output = stripVTControlCharacters(Buffer.concat(chunks).toString())
      resolve({ output, ending })
    })
  })

const endingOf = (end: {
  code: number | null
  signal: string | null
  isLate: boolean
  limitMs: number
}): string | undefined => {
  if (end.isLate) return `did not end within ${end.limitMs / 1_000} s`
  if (end.signal !== null) return `was ended by ${end.signal}`
  return end.code === 0 ? undefined : `exit code ${end.code}`
}
