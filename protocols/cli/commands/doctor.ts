import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { Command } from 'commander'
import type { Check, Fault, VerifyStep } from '../../../model/doctor.ts'
import { adminOf, type AdminFlags, withAdminOptions } from '../admin/action.ts'
import { table } from '../admin/table.ts'
import { sizeText } from '../admin/units.ts'
import { exitCodes } from '../exit-codes.ts'
import { fail } from '../failure.ts'
import { progressBar } from '../progress.ts'
import { settingsOf, withSettings } from '../settings-flags.ts'
import type { World } from '../world.ts'

type Verified = Extract<VerifyStep, { type: 'verified' }>

/** `glasspost doctor` */
export const doctorCommand = (world: World): Command =>
  withAdminOptions(withSettings(new Command('doctor')))
    .description('look at data directory, disk, format, clock and ports')
    .option('--verify', 'read everything stored and compare it with itself', false)
    .addHelpText(
      'after',
      '\nTakes the settings of start, and changes nothing. With --verify every chunk of the log is' +
        '\nchecked by its checksum and its predecessor, every fact, and every entry of the index by' +
        '\nwhat it points to. While a broker is running only that broker can read its data: it is' +
        '\nasked through its HTTP port (--url), and goes on meanwhile.' +
        '\nExit code 0 when nothing is wrong (warnings are told), 1 when something is, 3 when the' +
        '\nrunning broker cannot be asked.' +
        '\nExample: glasspost doctor --data-dir /var/lib/glasspost --verify',
    )
    .action((_, command: Command) => {
      const { json: isJson = false } = command.optsWithGlobals<AdminFlags>()
      return doctor(world, command).catch(fail(world, { isJson }))
    })

const doctor = async (world: World, command: Command): Promise<void> => {
  const { settings } = await settingsOf(world, command)
  const flags = command.optsWithGlobals<AdminFlags & { verify: boolean }>()
  const { isJson, client } = adminOf(world, flags)
  const dataDir = resolve(settings.dataDir)
  const { checks, isInUse, isReadable } = await world.examine({ dataDir, settings })
  if (!isJson) for (const line of checks.flatMap(checkLines)) world.print(line)
  const faults: Fault[] = []
  let verified: Verified | undefined
  if (flags.verify && (isReadable || isInUse)) {
    const steps = isInUse ? stepsOf(await client.stream('/v1/verify')) : world.verify(dataDir)
    verified = await watch(steps, faults)
  }
  const isHealthy = checks.every(({ state }) => state !== 'fault') && faults.length === 0
  if (isJson) world.print(JSON.stringify({ healthy: isHealthy, checks, verified, faults }))
  else for (const line of resultLines(verified, faults)) world.print(line)
  if (!isHealthy) world.exit(exitCodes.failed)
}

async function* stepsOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<VerifyStep> {
  for await (const line of createInterface({ input: Readable.from(bytes) }))
    yield JSON.parse(line) as VerifyStep
}

const watch = async (
  steps: AsyncIterable<VerifyStep>,
  faults: Fault[],
): Promise<Verified | undefined> => {
  const bar = progressBar('verifying')
  let verified: Verified | undefined
  try {
    for await (const step of steps)
      if (step.type === 'progress') bar.update(step)
      else if (step.type === 'fault') faults.push(step.fault)
      else verified = step
  } finally {
    bar.stop()
  }
  return verified
}

const signs = { ok: 'ok     ', warning: 'WARNING', fault: 'FAULT  ' } as const

const checkLines = ({ name, state, says, remedy }: Check): string[] => [
  `${signs[state]}  ${name.padEnd(9)}  ${says}`,
  ...(remedy === undefined ? [] : [`${' '.repeat(20)}${remedy}`]),
]

const resultLines = (verified: Verified | undefined, faults: readonly Fault[]): string[] => {
  if (verified === undefined) return []
  const { chunks, bytes, messages, indexEntries } = verified
  const count = (value: number): string => value.toLocaleString('en-US')
  const what =
    `${count(chunks)} chunks (${sizeText(bytes)}) with ${count(messages)} messages, ` +
    `${count(indexEntries)} entries of the index`
  if (verified.faults === 0) return [`ok       verified   ${what}`]
  return [
    `FAULT    verified   ${what}: ${count(verified.faults)} faults`,
    '',
    ...table(
      ['STORE', 'WHERE', 'WHAT'],
      faults.map(({ store, where, what: wrong }) => [store, where, wrong]),
    ),
    '',
    ...[...new Set(faults.map(({ remedy }) => remedy))],
  ]
}
