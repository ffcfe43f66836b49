import { z } from '@hono/zod-openapi'

/** Names are judged by the broker, which says what is wrong with them; here only sizes are. */
const NAME_LENGTH_MAX = 255

const nameIn = (name: 'topic' | 'group', example: string) =>
  z
    .string()
    .min(1)
    .max(NAME_LENGTH_MAX)
    .openapi({ param: { name, in: 'path' }, example })

export const TopicPath = z.object({ topic: nameIn('topic', 'orders') })
export const GroupPath = z.object({ group: nameIn('group', 'billing') })

/** A whole number in a query, which is text on the wire. */
export const countIn = (min: number, max: number, example = min) =>
  z
    .string()
    .regex(/^\d{1,16}$/, 'not a whole number')
    .transform(Number)
    .pipe(z.number().int().min(min).max(max))
    .openapi({ type: 'integer', minimum: min, maximum: max, example })

const PAGE_DEFAULT = 1_000
const PAGE_MAX = 10_000

/** Lists are in order of name; a page begins behind the `next` of the page before. */
export const PageQuery = z.strictObject({
  prefix: z.string().max(NAME_LENGTH_MAX).optional().openapi({ example: 'ord' }),
  limit: countIn(1, PAGE_MAX, PAGE_DEFAULT).optional(),
  after: z.string().max(NAME_LENGTH_MAX).optional(),
})

export const nextPage = z.string().optional().openapi({ description: 'Missing on the last page.' })

/** One page of things with names. */
export const pageOf = <Named extends { readonly name: string }>(
  all: readonly Named[],
  { prefix = '', limit = PAGE_DEFAULT, after }: z.infer<typeof PageQuery>,
): { readonly page: Named[]; readonly next?: string } => {
  const found = all
    .filter(({ name }) => name.startsWith(prefix) && (after === undefined || name > after))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
  const page = found.slice(0, limit)
  const last = page.at(-1)
  return found.length > page.length && last ? { page, next: last.name } : { page }
}

type WithoutGaps<Fields> = {
  [Key in keyof Fields]: Fields[Key] extends object | undefined
    ? WithoutGaps<Exclude<Fields[Key], undefined>>
    : Exclude<Fields[Key], undefined>
}

/** What was left out is absent, as the model wants it, where the schemas say `undefined`. */
export const withoutGaps = <Fields extends object>(fields: Fields): WithoutGaps<Fields> =>
  JSON.parse(JSON.stringify(fields)) as WithoutGaps<Fields>
