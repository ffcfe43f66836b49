import type { AdminClient, Query } from './client.ts'

const PAGE = 1_000

/** A whole list of the API, page after page; the path and the field have the same name. */
export const allOf = async <Item>(
  client: AdminClient,
  name: 'topics' | 'groups' | 'transactions',
  query: Query = {},
): Promise<Item[]> => {
  const all: Item[] = []
  for (let after: string | undefined; ; ) {
    const page: Readonly<Record<typeof name, Item[]>> & { readonly next?: string } =
      await client.get(`/v1/${name}`, { ...query, after, limit: PAGE })
    all.push(...page[name])
    after = page.next
    if (after === undefined) return all
  }
}
