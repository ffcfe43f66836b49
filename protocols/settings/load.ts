import { BrokerError } from '../../model/errors.ts'
import { parseFile } from './json-file.ts'
import { nearest } from './nearest.ts'
import { relationProblems } from './relations.ts'
import { type Settings, settingsSchema } from './schema.ts'
import { type Setting, type SettingValue, settingsTable } from './table.ts'

/** Where a value comes from, strongest last. */
export type Layer = 'default' | 'file' | 'environment' | 'flag'

/** A value, and where a person finds it: `glasspost.json:12`, `GLASSPOST_GRPC_PORT`, `--host`. */
export interface Sourced<Value = SettingValue> {
  readonly value: Value
  readonly layer: Layer
  readonly where: string
}

export interface SettingsInput {
  /** The settings file, if there is one, by the name that the operator gave it. */
  readonly file?: { readonly name: string; readonly text: string }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Texts by flag (`--grpc-port`); a switch without a value is `true`. */
  readonly flags: Readonly<Record<string, string>>
}

export interface LoadedSettings {
  readonly settings: Settings
  /** Effective value and its source by path, in the order of the table. */
  readonly sources: ReadonlyMap<string, Sourced>
}

const PREFIX = 'GLASSPOST_'
/** Variables of the command itself, which are no settings of a broker. */
const OWN_VARIABLES = ['GLASSPOST_CONFIG', 'GLASSPOST_URL', 'GLASSPOST_TOKEN']
/** Kubernetes gives these to every pod beside a service called glasspost. */
const SERVICE_LINK = /^GLASSPOST_(SERVICE_|PORT$|PORT_\d)/

const meant = (name: string, names: readonly string[]): string => {
  const near = nearest(name, names)
  return near === undefined ? '' : `; did you mean ${near}?`
}

/** Collects values by layers, and what is wrong with them. */
class Collection {
  readonly sources = new Map<string, Sourced<unknown>>()
  readonly problems: string[] = []

  file({ name, text }: { name: string; text: string }): void {
    const { values, problems } = parseFile(text)
    for (const { line, reason } of problems) this.problems.push(`${name}:${line}: ${reason}`)
    const paths = settingsTable.map(({ path }) => path)
    const sections = new Set(paths.flatMap((path) => path.split('.').slice(0, -1)))
    for (const [path, { value, line }] of values) {
      const where = `${name}:${line}`
      const isEmptySection = sections.has(path) && JSON.stringify(value) === '{}'
      if (paths.includes(path)) this.sources.set(path, { value, layer: 'file', where })
      else if (!isEmptySection)
        this.problems.push(`${where}: there is no setting ${path}${meant(path, paths)}`)
    }
  }

  environment(environment: SettingsInput['environment']): void {
    const byVariable = new Map(settingsTable.map((setting) => [setting.variable, setting]))
    for (const [variable, text] of Object.entries(environment)) {
      if (!variable.startsWith(PREFIX) || text === undefined) continue
      if (OWN_VARIABLES.includes(variable) || SERVICE_LINK.test(variable)) continue
      const setting = byVariable.get(variable)
      if (setting !== undefined) this.#read(setting, text, 'environment', variable)
      else {
        const suggestion = meant(variable, [...byVariable.keys()])
        this.problems.push(`${variable}: there is no such setting${suggestion}`)
      }
    }
  }

  flags(flags: SettingsInput['flags']): void {
    const byFlag = new Map(settingsTable.map((setting) => [setting.flag, setting]))
    for (const [flag, text] of Object.entries(flags)) {
      const setting = byFlag.get(flag)
      if (setting !== undefined) this.#read(setting, text, 'flag', flag)
      else this.problems.push(`${flag}: there is no such flag${meant(flag, [...byFlag.keys()])}`)
    }
  }

  #read({ path, read }: Setting, text: string, layer: Layer, where: string): void {
    this.sources.set(path, { value: read(text), layer, where })
  }
}

const nested = (sources: ReadonlyMap<string, Sourced<unknown>>): Record<string, unknown> => {
  const root: Record<string, unknown> = {}
  for (const [path, { value }] of sources) {
    const [first = '', second] = path.split('.')
    if (second === undefined) root[first] = value
    else root[first] = { ...(root[first] as object | undefined), [second]: value }
  }
  return root
}

const valueAt = (settings: Settings, path: string): SettingValue =>
  path
    .split('.')
    .reduce<unknown>(
      (at, name) => (at as Readonly<Record<string, unknown>>)[name],
      settings,
    ) as SettingValue

/** As a refusal repeats it: never a secret, and never endless. */
const shown = ({ isSecret }: Setting, value: unknown): string =>
  isSecret ? '' : ` is ${JSON.stringify(value).slice(0, 80)}`

const shapeProblems = (sources: ReadonlyMap<string, Sourced<unknown>>): string[] => {
  const { error } = settingsSchema.safeParse(nested(sources))
  const reasons = new Map<string, string>()
  for (const { path, message } of error?.issues ?? [])
    if (!reasons.has(path.join('.'))) reasons.set(path.join('.'), message)
  return [...reasons].map(([path, message]) => {
    const setting = settingsTable.find((each) => each.path === path)
    const source = sources.get(path)
    if (setting === undefined || source === undefined) return `${path}: ${message}`
    return `${source.where}: ${path}${shown(setting, source.value)}: ${message}`
  })
}

const refuseIf = (problems: readonly string[]): void => {
  if (problems.length > 0) throw new BrokerError('SETTINGS_REFUSED', { problems })
}

/** Who asks for any free gRPC port runs several brokers, and wants none to take the HTTP port. */
const followGrpcPort = ({ sources }: Collection, { grpc }: Settings): void => {
  if (grpc.port !== 0 || sources.has('http.port')) return
  sources.set('http.port', { value: 0, layer: 'default', where: 'follows grpc.port' })
}

/** The line of the first setting concerned that somebody set, or its path when nobody did. */
const whereOf = (
  paths: readonly string[],
  sources: ReadonlyMap<string, Sourced<unknown>>,
): string => paths.flatMap((path) => sources.get(path)?.where ?? [])[0] ?? paths[0] ?? ''

/**
 * The effective settings: defaults, then the file, then the environment, then flags. Throws
 * `SETTINGS_REFUSED` with everything that is unknown, illegal, contradictory or unsafe, each with
 * the line to change.
 */
export const loadSettings = ({ file, environment, flags }: SettingsInput): LoadedSettings => {
  const collection = new Collection()
  if (file !== undefined) collection.file(file)
  collection.environment(environment)
  collection.flags(flags)
  refuseIf([...collection.problems, ...shapeProblems(collection.sources)])
  followGrpcPort(collection, settingsSchema.parse(nested(collection.sources)))
  const settings = settingsSchema.parse(nested(collection.sources))
  refuseIf(
    relationProblems(settings, (path) => collection.sources.has(path)).map(
      ({ paths, reason }) => `${whereOf(paths, collection.sources)}: ${reason}`,
    ),
  )
  const sources = settingsTable.map(({ path }): [string, Sourced] => {
    const { layer, where } = collection.sources.get(path) ?? { layer: 'default', where: 'default' }
    return [path, { value: valueAt(settings, path), layer, where }]
  })
  return { settings, sources: new Map(sources) }
}
