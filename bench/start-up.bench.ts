import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { withDirectory } from './support/places.ts'
import { type Measure, progress, runRow } from './support/row.ts'
import { median } from './support/stats.ts'

/** From the start of a process until its broker serves: new, and after it was killed at work. */
const ROUNDS = 3

const actor = fileURLToPath(new URL('./support/start-up-process.js', import.meta.url))

const spawned = async (mode: 'open' | 'work', dataDir: string, sizes: readonly number[] = []) => {
  const args = [mode, dataDir, ...sizes.map(String)]
  const process = fork(actor, args, {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [said] = (await Promise.race([once(process, 'message'), ended(process)])) as [Said]
  return { process, said }
}

interface Said {
  /** Since the start of the process. */
  readonly readyMs: number
}

const ended = async (process: ChildProcess): Promise<never> => {
  const [code] = (await once(process, 'exit')) as [number | null]
  throw new Error(`the process ended early with ${code}`)
}

const killed = async (process: ChildProcess): Promise<void> => {
  const exit = once(process, 'exit')
  process.kill('SIGKILL')
  await exit
}

/** Opening changes the directory, but ends as it began: by being killed. */
const readyMs = async (dataDir: string): Promise<number> => {
  const { process, said } = await spawned('open', dataDir)
  await killed(process)
  return said.readyMs
}

const emptyStart = async (): Promise<Measure> => {
  const all: number[] = []
  for (let round = 0; round < ROUNDS; round++) all.push(await withDirectory(readyMs))
  return { name: 'empty data directory', value: median(all), unit: 'ms', budget: { atMost: 1_000 } }
}

const startAfterKill = (unacked: number, acked: number, timers: number): Promise<Measure> =>
  withDirectory(async (dataDir) => {
    progress(`working: ${unacked} unacknowledged, ${acked} acknowledged`)
    const { process } = await spawned('work', dataDir, [unacked, acked, timers])
    await killed(process)
    progress('starting again')
    const value = await readyMs(dataDir)
    const name = `after SIGKILL with ${unacked} unacknowledged, ${acked} acknowledged, ${timers} timers`
    return { name, value, unit: 'ms', budget: { atMost: 5_000 } }
  })

await runRow('start-up', async ({ quick, messages = quick ? 200_000 : 1_000_000 }) => ({
  measures: [await emptyStart(), await startAfterKill(messages, messages, messages / 10)],
  notes: ['from the start of the process, Node included; killed while 256 sends are in flight'],
}))
