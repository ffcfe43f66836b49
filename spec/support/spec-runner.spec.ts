import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runSpecFile, runSpecFiles } from './spec-runner.ts'

const Runner = suite('spec runner')

const preamble = `
  import { suite } from '${import.meta.resolve('uvu')}'
  const Planted = suite('planted')
`

/** Runs the planted suite; says how many passed and failed, and why the file failed. */
const verdictOn = async (script: string, limitMs = 30_000): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-spec-'))
  const path = join(folder, 'planted.spec.mjs')
  try {
    await writeFile(path, preamble + script)
    const { passed, failed, problem } = await runSpecFile({ path, limitMs })
    return `${passed} ${failed} ${problem}`
  } finally {
    await rm(folder, { recursive: true })
  }
}

for (const [what, script, verdict] of [
  [
    'tests that pass',
    "Planted('a', () => {}); Planted('b', () => {}); Planted.run()",
    '2 0 undefined',
  ],
  [
    'a test that fails',
    "Planted('a', () => {}); Planted('b', () => { throw new Error('no') }); Planted.run()",
    '1 1 exit code 1',
  ],
  ['a suite that is never run', "Planted('a', () => {})", '0 1 ran no tests: is .run() missing?'],
  ['a process that ends itself', 'process.exit(3)', '0 1 exit code 3'],
  [
    'a rejection that nobody handles',
    "Planted('a', () => { void Promise.reject(new Error('lost')) }); Planted.run()",
    '1 1 exit code 1',
  ],
  [
    'a grandchild that holds the pipes',
    `const { spawn } = await import('node:child_process')
    Planted('a', () => { spawn('sleep', ['4'], { stdio: 'inherit', detached: true }).unref() })
    Planted.run()`,
    '1 0 undefined',
  ],
  [
    'a handle left open',
    "Planted('a', () => { setInterval(() => {}, 1_000) }); Planted.run()",
    '1 1 did not end within 3 s',
  ],
] satisfies [string, string, string][]) {
  Runner(`judges ${what}`, async () => {
    assert.is(await verdictOn(script, 3_000), verdict)
  })
}

Runner('judges every file, however many run at once', async () => {
  const results = await runSpecFiles(
    ['one', 'two', 'three'].map((name) => ({ path: `/nowhere/${name}.spec.ts`, limitMs: 30_000 })),
    { atOnce: 2, onResult: () => {} },
  )
  assert.equal(
    results.map(({ failed }) => failed),
    [1, 1, 1],
  )
})

Runner.run()
