import { z } from 'zod'
import { type About, about } from './kinds.ts'
import { settingsSchema } from './schema.ts'

/** Undefined when it was left out and then means nothing. */
export type SettingValue = string | number | boolean | undefined

/** One setting under all its names. */
export interface Setting extends Omit<About, 'flag'> {
  /** `grpc.port`: in the file, `port` within `grpc`. */
  readonly path: string
  /** `GLASSPOST_GRPC_PORT` */
  readonly variable: string
  /** `--grpc-port` */
  readonly flag: string
  /** What it is when nobody sets it. */
  readonly otherwise: SettingValue
  readonly isSwitch: boolean
}

const wordsOf = (path: string): string[] =>
  path.split('.').flatMap((part) => part.split(/(?=[A-Z])/).map((word) => word.toLowerCase()))

const inner = (schema: z.ZodType): z.ZodType =>
  schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault
    ? (schema.unwrap() as z.ZodType)
    : schema

const settingAt = (path: string, schema: z.ZodType): Setting => {
  const told = about.get(schema)
  if (told === undefined) throw new Error(`setting ${path} does not say what it is`)
  const words = wordsOf(path)
  return {
    ...told,
    path,
    variable: `GLASSPOST_${words.join('_').toUpperCase()}`,
    flag: told.flag ?? `--${words.join('-')}`,
    otherwise: schema.parse(undefined) as SettingValue,
    isSwitch: inner(schema) instanceof z.ZodBoolean,
  }
}

const settingsIn = (schema: z.ZodObject, prefix = ''): Setting[] =>
  Object.entries(schema.shape).flatMap(([name, value]) => {
    const section = inner(value as z.ZodType)
    return section instanceof z.ZodObject
      ? settingsIn(section, `${prefix}${name}.`)
      : [settingAt(`${prefix}${name}`, value as z.ZodType)]
  })

/** Every setting, in the order in which it is shown. */
export const settingsTable: readonly Setting[] = settingsIn(settingsSchema)
