import { Command } from 'commander'
import type { Sourced } from '../../settings/load.ts'
import { type Setting, type SettingValue, settingsTable } from '../../settings/table.ts'
import { fail } from '../failure.ts'
import { settingsOf, withSettings } from '../settings-flags.ts'
import type { World } from '../world.ts'

const MASK = '(hidden)'

interface Row {
  readonly name: string
  readonly value: SettingValue
  readonly source: string
}

const rowOf = (setting: Setting, { value, where }: Sourced): Row => ({
  name: setting.path,
  value: setting.isSecret && value !== undefined ? MASK : value,
  source: where,
})

const lines = (rows: readonly Row[]): string[] => {
  const texts = rows.map(({ name, value, source }) => [name, String(value ?? '-'), source])
  const widthOf = (column: number) => Math.max(...texts.map((row) => (row[column] ?? '').length))
  const [names, values] = [widthOf(0), widthOf(1)]
  return texts.map(
    ([name = '', value = '', source]) =>
      `${name.padEnd(names)}  ${value.padEnd(values)}  ${source}`,
  )
}

/** `glasspost config` */
export const configCommand = (world: World): Command =>
  withSettings(
    new Command('config')
      .description('print the effective settings and where each comes from')
      .option('--json', 'print them as JSON', false),
  )
    .addHelpText(
      'after',
      '\nTakes the flags of start, reads the same file and environment, and starts nothing.' +
        '\nExample: glasspost config --config glasspost.json',
    )
    .action((_, command: Command) => config(world, command).catch(fail(world)))

const config = async (world: World, command: Command): Promise<void> => {
  const { sources } = await settingsOf(world, command)
  const rows = settingsTable.flatMap((setting) => {
    const source = sources.get(setting.path)
    return source === undefined ? [] : [rowOf(setting, source)]
  })
  if (command.opts()['json'] !== true) for (const line of lines(rows)) world.print(line)
  else {
    const byName = rows.map(({ name, value = null, source }) => [name, { value, source }])
    world.print(JSON.stringify(Object.fromEntries(byName), undefined, 2))
  }
}
