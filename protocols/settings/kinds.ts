import { z } from 'zod'

/** What a person is told about a setting. */
export interface About {
  readonly description: string
  /** What it takes, as a refusal says it after "give": `a whole number from 1 to 9`. */
  readonly takes: string
  /** Never shown. */
  readonly isSecret: boolean
  /** Its flag, where that is not the one that follows from its path. */
  readonly flag: string | undefined
  /** From the text of a variable or flag; what cannot be read stays text, and is refused. */
  readonly read: (text: string) => unknown
}

export const about = z.registry<About>()

interface Options {
  readonly flag?: string
  readonly isSecret?: boolean
}

const told = <Schema extends z.ZodType>(
  schema: Schema,
  rest: Pick<About, 'description' | 'takes' | 'read'>,
  { flag, isSecret = false }: Options = {},
): Schema => {
  about.add(schema, { ...rest, flag, isSecret })
  return schema
}

const asIs = (text: string): string => text

const readNumber = (text: string): unknown =>
  /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text

const readSwitch = (text: string): unknown =>
  text === 'true' ? true : text === 'false' ? false : text

/** A whole number with its bounds, both allowed. */
export const whole = (
  description: string,
  { min, max, otherwise }: { min: number; max: number; otherwise: number },
) => {
  const takes = `a whole number from ${min} to ${max}`
  const error = `give ${takes}`
  const number = z.number({ error }).int({ error }).min(min, { error }).max(max, { error })
  return told(number.default(otherwise), { description, takes, read: readNumber })
}

/** A number from 0 to its bound, both allowed. */
export const amount = (
  description: string,
  { max, otherwise }: { max: number; otherwise: number },
) => {
  const takes = `a number from 0 to ${max}`
  const error = `give ${takes}`
  const number = z.number({ error }).min(0, { error }).max(max, { error })
  return told(number.default(otherwise), { description, takes, read: readNumber })
}

export const choice = <const Value extends string>(
  description: string,
  { among, otherwise }: { among: readonly Value[]; otherwise: NoInfer<Value> },
) => {
  const takes = `one of ${among.join(', ')}`
  const names = z.enum(among, { error: `give ${takes}` }).default(otherwise as never)
  return told(names, { description, takes, read: asIs })
}

export const switchable = (description: string, options: Options = {}) => {
  const takes = 'true or false'
  const value = z.boolean({ error: `give ${takes}` }).default(false)
  return told(value, { description, takes, read: readSwitch }, options)
}

const filled = (lengthMin = 1) => {
  const takes = lengthMin > 1 ? `at least ${lengthMin} characters` : 'a text that is not blank'
  const error = `give ${takes}`
  return { takes, value: z.string({ error }).trim().min(lengthMin, { error }) }
}

export const text = (description: string, options: Options & { otherwise: string }) => {
  const { takes, value } = filled()
  return told(value.default(options.otherwise), { description, takes, read: asIs }, options)
}

export const optionalText = (
  description: string,
  options: Options & { lengthMin?: number } = {},
) => {
  const { takes, value } = filled(options.lengthMin)
  return told(value.optional(), { description, takes, read: asIs }, options)
}

/** `host:port`; IPv6 in brackets. */
export const optionalAddress = (description: string) => {
  const takes = 'host:port'
  const isPort = (value: string): boolean => {
    const port = Number(/:(\d{1,5})$/.exec(value)?.[1])
    return port >= 1 && port <= 65_535
  }
  const value = z
    .string({ error: `give ${takes}` })
    .trim()
    .regex(/^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):\d{1,5}$/, { error: `give ${takes}` })
    .refine(isPort, { error: `give ${takes}, with a port from 1 to 65535` })
  return told(value.optional(), { description, takes, read: asIs })
}

/** `http://…` or `https://…`. */
export const optionalUrl = (description: string) => {
  const takes = 'a URL, http:// or https://'
  const isUrl = (value: string): boolean => /^https?:$/.test(protocolOf(value) ?? '')
  const error = `give ${takes}`
  const value = z.string({ error }).trim().refine(isUrl, { error })
  return told(value.optional(), { description, takes, read: asIs })
}

const protocolOf = (url: string): string | undefined =>
  URL.canParse(url) ? new URL(url).protocol : undefined
