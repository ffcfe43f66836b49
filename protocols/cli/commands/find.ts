import { Command } from 'commander'
import { adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { type MessageJson, printMessage } from '../admin/messages.ts'
import { count, moment } from '../admin/units.ts'
import type { World } from '../world.ts'

interface FindFlags {
  readonly key?: string
  readonly from?: number
  readonly to?: number
  readonly limit?: number
}

/** `glasspost find` */
export const findCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('find')
      .description('find stored messages of a topic by key and time, oldest first')
      .argument('<topic>')
      .option('--key <key>', 'with this key')
      .option('--from <time>', 'stored at or after, such as 2026-12-24T18:00:00Z', moment)
      .option('--to <time>', 'stored at or before', moment)
      .option('--limit <n>', 'at most so many (default 32)', count)
      .addHelpText('after', '\nExample: glasspost find orders --key order-4711 --json | jq .body'),
    async ({ client, isJson }, [topic = ''], { key, from: fromMs, to: toMs, limit }: FindFlags) => {
      const { messages } = await client.get<{ messages: MessageJson[] }>(
        path`/v1/topics/${topic}/messages`,
        { key, fromMs, toMs, limit },
      )
      for (const message of messages) printMessage(world, message, isJson)
    },
  )

/** `glasspost show` */
export const showCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('show')
      .description('show the stored messages with an id')
      .argument('<message-id>')
      .option('--topic <topic>', 'only in this topic'),
    async ({ client, isJson }, [messageId = ''], { topic }: { readonly topic?: string }) => {
      const { messages } = await client.get<{ messages: MessageJson[] }>(
        path`/v1/messages/${messageId}`,
        { topic },
      )
      for (const message of messages) printMessage(world, message, isJson)
    },
  )
