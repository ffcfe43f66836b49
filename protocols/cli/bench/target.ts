import type { AdminClient } from '../admin/client.ts'
import { path } from '../admin/client.ts'

/** What a load is put on: a topic of its own, read by a group of its own. */
export interface BenchTarget {
  /** As a report names it. */
  readonly name: string
  send(body: string): Promise<void>
  /** Up to 32 messages; each is acknowledged by calling it. */
  receive(): Promise<readonly (() => Promise<void>)[]>
  /** Topic and group are deleted. */
  close(): Promise<void>
}

const BATCH = 32

/** A running broker, over HTTP: what is measured is this door, too. */
export const httpTarget = async (
  client: AdminClient,
  { name, queues }: { readonly name: string; readonly queues: number },
): Promise<BenchTarget> => {
  await client.post('/v1/topics', { name, queues })
  return {
    name: `${client.url} over HTTP`,
    send: async (body) => {
      await client.post(path`/v1/topics/${name}/messages`, { body })
    },
    receive: async () => {
      const { messages } = await client.post<{ messages: { receiptHandle: string }[] }>(
        path`/v1/groups/${name}/receive`,
        { topic: name, batchMax: BATCH, waitMs: 1_000 },
      )
      return messages.map(({ receiptHandle }) => async () => {
        await client.post('/v1/receipts/ack', { receiptHandle })
      })
    },
    close: async () => {
      await client.delete(path`/v1/groups/${name}`).catch(() => {})
      await client.delete(path`/v1/topics/${name}`)
    },
  }
}
