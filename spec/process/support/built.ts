import { execFile } from 'node:child_process'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { eventually } from '../../support/waiting.ts'

export const root = fileURLToPath(new URL('../../..', import.meta.url))

/** The built command line: what users run. */
export const cli = join(root, 'dist', 'cli.js')

const LOCK = join(root, 'node_modules', '.glasspost-build')
const BUILD_MS = 60_000
const sources = ['model', 'machines', 'actors', 'streams', 'storage', 'protocols', 'spec/contracts']

/** Builds when a source is newer than what was built last; one process at a time. */
export const built = async (): Promise<void> => {
  if (!(await isStale())) return
  await eventually('nobody else builds', takeLock, BUILD_MS)
  try {
    if (await isStale()) await build()
  } finally {
    await rm(LOCK, { force: true })
  }
}

const build = async (): Promise<void> => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  await rm(join(root, 'dist', '.tsbuildinfo'), { force: true })
  await promisify(execFile)(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root })
}

const isStale = async (): Promise<boolean> => {
  const builtMs = await changedMs(join(root, 'dist', '.tsbuildinfo')).catch(() => 0)
  const inFolders = sources.map(async (folder) => {
    const files = await readdir(join(root, folder), { recursive: true })
    return files.map((file) => join(root, folder, file))
  })
  const paths = [
    join(root, 'index.ts'),
    join(root, 'cli.ts'),
    ...(await Promise.all(inFolders)).flat(),
  ]
  const times = await Promise.all(paths.filter((path) => path.endsWith('.ts')).map(changedMs))
  return Math.max(...times) > builtMs
}

const changedMs = async (path: string): Promise<number> => (await stat(path)).mtimeMs

/** The lock of a process that is gone counts for nothing. */
const takeLock = async (): Promise<boolean> => {
  try {
    await writeFile(LOCK, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    const holder = Number(await readFile(LOCK, 'utf8').catch(() => ''))
    if (holder > 0 && !isAlive(holder)) await rm(LOCK, { force: true })
    return false
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
