import { Command } from 'commander'
import type { QueueDescription, TopicDescription } from '../../../model/ports.ts'
import { adminAction } from '../admin/action.ts'
import { type AdminClient, path } from '../admin/client.ts'
import { type MessageJson, printMessage } from '../admin/messages.ts'
import { count } from '../admin/units.ts'
import type { World } from '../world.ts'

const PAGE = 1_000

interface PeekFlags {
  readonly queue?: number
  readonly from?: number
  readonly limit: number
}

/** `glasspost peek` */
export const peekCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('peek')
      .description('look at stored messages without leasing them; the newest, oldest first')
      .argument('<topic>')
      .option('--queue <n>', 'only this queue', count)
      .option('--from <offset>', 'begin at this offset instead, of each queue', count)
      .option('--limit <n>', 'at most so many (default 10)', count, 10)
      .addHelpText(
        'after',
        '\nExamples:' +
          '\n  glasspost peek orders' +
          '\n  glasspost peek orders --queue 3 --from 1200 --limit 1 --json | jq -r .body',
      ),
    async ({ client, isJson }, [topic = ''], { queue, from, limit }: PeekFlags) => {
      const { offsets } = await client.get<TopicDescription>(path`/v1/topics/${topic}`)
      const queues = offsets.filter(({ queueId }) => queue === undefined || queueId === queue)
      const found = await Promise.all(
        queues.map((at) => peekQueue(client, topic, { ...at, from, limit })),
      )
      const all = found.flat().sort((one, other) => one.storeAtMs - other.storeAtMs)
      const shown = from === undefined ? all.slice(-limit) : all.slice(0, limit)
      for (const message of shown) printMessage(world, message, isJson)
    },
  )

interface Place extends QueueDescription {
  readonly from: number | undefined
  readonly limit: number
}

const peekQueue = (client: AdminClient, topic: string, place: Place): Promise<MessageJson[]> => {
  const { queueId, offsetMin, offsetMax, limit, from = Math.max(0, offsetMax - limit) } = place
  return limit === 0 || offsetMin === offsetMax
    ? Promise.resolve([])
    : peekFrom(client, topic, { queueId, fromOffset: from, limit })
}

/** Messages of one queue from an offset on. */
export const peekFrom = async (
  client: AdminClient,
  topic: string,
  { queueId, fromOffset, limit }: { queueId: number; fromOffset: number; limit: number },
): Promise<MessageJson[]> => {
  const { messages } = await client.get<{ messages: MessageJson[] }>(
    path`/v1/topics/${topic}/queues/${queueId}/messages`,
    { fromOffset, limit: Math.min(limit, PAGE) },
  )
  return messages
}
