import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { eventually } from '../support/waiting.ts'
import { run } from './support/broker-process.ts'
import { built, root } from './support/built.ts'

const READY_MS_MAX = 20_000
const INSTALL_MS_MAX = 60_000

const program = `import { createBroker, isBrokerError, type ReceivedMessage } from 'glasspost'
import { databaseContract } from 'glasspost/testing'

await using broker = await createBroker({ memory: true })
await broker.topics.create('orders')
await broker.send('orders', { body: 'order 1' })
const [message]: ReceivedMessage[] = await broker.receive({ topic: 'orders', group: 'g' })
const contract: string = typeof databaseContract
console.log(message?.text, contract, isBrokerError(new Error()))
`

const settings = {
  compilerOptions: {
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'NodeNext',
    strict: true,
    types: ['node'],
    outDir: 'out',
  },
  include: ['program.ts'],
}

const Package = suite('the package')

/** What npm says when it can reach no registry, or when it takes too long. */
const isOffline = (error: unknown): boolean =>
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED|E40[134]|"killed":true/.test(
    `${String(error)} ${JSON.stringify(error)}`,
  )

const npm = (folder: string, ...args: string[]) =>
  promisify(execFile)('npm', args, { cwd: folder, timeout: INSTALL_MS_MAX })

/** An empty project with the packed tarball in it; undefined when nothing can be installed. */
const install = async (folder: string): Promise<string | undefined> => {
  const project = join(folder, 'project')
  await mkdir(project)
  const { stdout } = await npm(
    root,
    'pack',
    '--ignore-scripts',
    '--json',
    `--pack-destination=${folder}`,
  )
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  await writeFile(join(project, 'package.json'), '{"name":"empty","type":"module","private":true}')
  const quick = ['--prefer-offline', '--no-audit', '--no-fund']
  const peers = ['uvu@0.5', 'fast-check@4', '@types/node@20']
  try {
    await npm(project, 'install', ...quick, join(folder, filename), ...peers)
    return project
  } catch (error) {
    if (isOffline(error)) return undefined
    throw error
  }
}

Package('starts by npx and can be imported, types included, in an empty project', async () => {
  await built()
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-pack-'))
  try {
    const project = await install(folder)
    if (project === undefined) {
      console.log('SKIPPED: the package cannot be installed here (no registry, nothing cached)')
      return
    }
    await compilesAndRuns(project)
    await starts(project)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

const compilesAndRuns = async (project: string): Promise<void> => {
  await writeFile(join(project, 'program.ts'), program)
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify(settings))
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const compiling = run([process.execPath, tsc, '-p', project])
  const { code } = await compiling.exited
  assert.is(code, 0, compiling.stdout())
  const running = run([process.execPath, join(project, 'out', 'program.js')])
  await running.exited
  assert.is(running.stdout(), 'order 1 function false\n', running.stderr())
}

const starts = async (project: string): Promise<void> => {
  const bin = join(project, 'node_modules', '.bin', 'glasspost')
  const flags = ['start', '--json', '--grpc-port', '0', '--data-dir', join(project, 'data')]
  const { stdout } = await npm(project, 'exec', '--no', '--', 'glasspost', 'explain', 'DISK_FULL')
  assert.match(stdout, /^DISK_FULL/)
  const broker = run([bin, ...flags])
  await eventually('it is ready', () => broker.stdout().endsWith('\n'), READY_MS_MAX)
  assert.is((JSON.parse(broker.stdout()) as { ready: boolean }).ready, true)
  assert.equal(await broker.end('SIGTERM'), { code: 0, signal: null })
}

Package.run()
