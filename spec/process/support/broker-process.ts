import { type ChildProcess, spawn } from 'node:child_process'
import { cli } from './built.ts'

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface RunningProcess {
  readonly child: ChildProcess
  readonly exited: Promise<Ending>
  readonly stdout: () => string
  readonly stderr: () => string
  /** Sends the signal and waits for the end. */
  readonly end: (signal: NodeJS.Signals) => Promise<Ending>
}

export interface BrokerProcess extends RunningProcess {
  /** `host:port` of its gRPC door. */
  readonly grpc: string
  /** `host:port` of its HTTP door. */
  readonly http: string
  /** From spawning it to its ready line. */
  readonly readyMs: number
}

export interface StartOptions {
  readonly dataDir: string
  readonly flags?: readonly string[]
  /** What runs Node, such as strace. */
  readonly under?: readonly string[]
}

const ENDS_MS_MAX = 20_000
const children = new Set<ChildProcess>()
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

/** A process whose output is kept. It ends with this one at the latest. */
export const run = (command: readonly string[], env: NodeJS.ProcessEnv = {}): RunningProcess => {
  const [file = '', ...args] = command
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  children.add(child)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
  const exited = new Promise<Ending>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      children.delete(child)
      resolve({ code, signal })
    })
  })
  const end = (signal: NodeJS.Signals): Promise<Ending> => {
    child.kill(signal)
    return exited
  }
  return { child, exited, stdout: () => stdout, stderr: () => stderr, end }
}

/** `glasspost` with these arguments, to its end, which comes soon or is made. */
export const runCli = async (...args: string[]) => {
  const running = run([process.execPath, cli, ...args])
  const limit = setTimeout(() => running.child.kill('SIGKILL'), ENDS_MS_MAX)
  const { code } = await running.exited
  clearTimeout(limit)
  return { code, stdout: running.stdout(), stderr: running.stderr() }
}

/** `glasspost start --json` on a free port, without waiting until it is ready. */
export const launch = ({ dataDir, flags = [], under = [] }: StartOptions): RunningProcess =>
  run([
    ...[...under, process.execPath, cli, 'start', '--json', '--grpc-port', '0'],
    ...['--data-dir', dataDir, '--auto-create-topics', ...flags],
  ])

export const startBroker = async (options: StartOptions): Promise<BrokerProcess> => {
  const startMs = performance.now()
  const running = launch(options)
  const { grpc, http } = await readyLine(running)
  return { ...running, grpc, http, readyMs: performance.now() - startMs }
}

const readyLine = ({ child, exited, stdout, stderr }: RunningProcess) =>
  new Promise<{ grpc: string; http: string }>((resolve, reject) => {
    child.stdout?.on('data', () => {
      const [line, rest] = stdout().split('\n')
      if (rest !== undefined) resolve(JSON.parse(line ?? '') as { grpc: string; http: string })
    })
    exited.then(
      ({ code }) => reject(new Error(`the broker ended with ${code}: ${stderr()}`)),
      reject,
    )
  })
