import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { BrokerError } from '../../model/errors.ts'
import { type LoadedSettings, loadSettings } from '../settings/load.ts'
import { type Setting, settingsTable } from '../settings/table.ts'
import type { World } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

const takes = (setting: Setting): string => (setting.isSwitch ? '[true|false]' : '<value>')

const optionOf = (setting: Setting): Option => {
  const { flag, description, otherwise, path } = setting
  const isSilent = otherwise === undefined || otherwise === false
  const byDefault = isSilent ? '' : ` (default: ${String(otherwise)})`
  const option = new Option(`${flag} ${takes(setting)}`, `${description}${byDefault}`)
  const section = path.includes('.') ? path.replace(/\..*/, '') : 'general'
  if (setting.isSwitch) option.preset('true')
  return option.helpGroup(`Settings, ${section}:`)
}

/** Gives a command a flag for every setting, and `--config`. */
export const withSettings = (command: Command): Command => {
  command.option('--config <file>', 'settings from this JSON file (or GLASSPOST_CONFIG)')
  for (const setting of settingsTable) command.addOption(optionOf(setting))
  return command
}

const readSettingsFile = async (name: string): Promise<{ name: string; text: string }> => {
  try {
    return { name, text: await readFile(name, 'utf8') }
  } catch (error) {
    const problems = [`--config ${name}: it cannot be read: ${(error as Error).message}`]
    throw new BrokerError('SETTINGS_REFUSED', { problems }, { cause: error })
  }
}

/** The effective settings of a command that was given its flags. */
export const settingsOf = async (world: World, command: Command): Promise<LoadedSettings> => {
  const given: Flags = command.opts()
  const flags = settingsTable.flatMap(({ flag }): [string, string][] => {
    const value = given[new Option(flag).attributeName()]
    return typeof value === 'string' ? [[flag, value]] : []
  })
  const name = given['config'] ?? world.environment['GLASSPOST_CONFIG']
  const file = typeof name === 'string' ? await readSettingsFile(name) : undefined
  return loadSettings({
    environment: world.environment,
    flags: Object.fromEntries(flags),
    ...(file === undefined ? {} : { file }),
  })
}
