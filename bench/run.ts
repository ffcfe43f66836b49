import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { arch, cpus, platform, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { markdownOf, type Report, tableOf } from './support/report.ts'
import { hottest } from './support/profile.ts'
import type { Row } from './support/row.ts'

/**
 * `npm run bench -- [--quick] [--only send,leases] [--markdown] [--profile]`: each row in a fresh
 * process, a table at the end, and all numbers in a JSON file.
 */
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    messages: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    json: { type: 'string', default: 'node_modules/.cache/glasspost/bench.json' },
  },
})

const PAGE = 'docs/benchmarks.md'
const SUFFIX = '.bench.js'
const PROFILES = 'bench/dist/profiles'
const here = fileURLToPath(new URL('.', import.meta.url))

/** Cheap rows first, so that the first numbers come soon. */
const order = [
  'send',
  'grpc-send',
  'grpc-receive',
  'ack-flush',
  'slow-flush',
  'idle-topics',
  'leases',
  'timers',
  'start-up',
]

const rowNames = async (): Promise<string[]> => {
  const all = (await readdir(here))
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
  const wanted = values.only?.split(',') ?? all
  const unknown = wanted.filter((name) => !all.includes(name))
  if (unknown.length > 0) throw new Error(`no such row: ${unknown.join(', ')}`)
  const rank = (name: string): number => (order.indexOf(name) + order.length) % order.length
  return wanted.sort((a, b) => rank(a) - rank(b))
}

const nodeFlagsOf = (name: string): string[] =>
  values.profile ? ['--cpu-prof', '--cpu-prof-dir', join(PROFILES, name)] : []

/** Runs one row; undefined when it failed, which its output on stderr explains. */
const runRow = async (name: string): Promise<Row | undefined> => {
  console.error(`${name}:`)
  const args = [...nodeFlagsOf(name), join(here, `${name}${SUFFIX}`)]
  if (values.quick) args.push('--quick')
  if (values.messages !== undefined) args.push('--messages', values.messages)
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  if (code === 0) return JSON.parse(output) as Row
  console.error(`  ${name} failed with ${code}`)
  process.exitCode = 1
  return undefined
}

const versionOf = async (name: string): Promise<string> => {
  const text = await readFile(join('node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

const machine = async (): Promise<Report['machine']> => {
  const packages = ['level', 'classic-level', 'xstate', 'rxjs', '@grpc/grpc-js']
  const versions = await Promise.all(packages.map(async (name) => [name, await versionOf(name)]))
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.versions.node,
    packages: Object.fromEntries(versions) as Record<string, string>,
  }
}

const writePage = async (report: Report): Promise<void> => {
  const page = await readFile(PAGE, 'utf8')
  const part = /(<!-- results -->\n)[\s\S]*(<!-- end of results -->)/
  await writeFile(
    PAGE,
    page.replace(part, (_, head, tail) => `${head}${markdownOf(report)}${tail}`),
  )
}

const rows: Row[] = []
for (const name of await rowNames()) {
  const row = await runRow(name)
  if (row) rows.push(row)
  if (values.profile) for (const line of await hottest(join(PROFILES, name))) console.error(line)
}
const report: Report = { machine: await machine(), quick: values.quick, rows }
await mkdir(join(values.json, '..'), { recursive: true })
await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`)
if (values.markdown) await writePage(report)
console.log(tableOf(report))
