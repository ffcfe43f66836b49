import { OpenAPIHono, type z } from '@hono/zod-openapi'
import { BrokerError } from '../../model/errors.ts'
import { RefusalBody } from './errors.ts'

/** A router whose schemas refuse what does not fit, naming the first field that is wrong. */
export const createRouter = (): OpenAPIHono =>
  new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return
      const [issue] = result.error.issues
      const path = issue?.path.join('.') ?? ''
      const where = path === '' ? result.target : `${result.target} field '${path}'`
      const reason = `${where}: ${issue?.message ?? 'it does not fit the schema'}`
      throw new BrokerError('REQUEST_ILLEGAL', { reason })
    },
  })

/** An answer of this schema, for a route's `responses`. */
export const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  content: { 'application/json': { schema } },
  description,
})

/** A required body of this schema. */
export const jsonBody = <Schema extends z.ZodType>(schema: Schema) => ({
  content: { 'application/json': { schema } },
  required: true as const,
})

/** Every route may refuse, always in the same form. */
export const refusals = { default: json(RefusalBody, 'Refused, with code and remedy.') }
