import { Command } from 'commander'
import type { TopicDescription } from '../../../model/ports.ts'
import { type Admin, adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { type MessageJson, printMessage } from '../admin/messages.ts'
import { count, duration } from '../admin/units.ts'
import { exitCodes } from '../exit-codes.ts'
import type { World } from '../world.ts'
import { peekFrom } from './peek.ts'

const PAGE = 100

interface TailFlags {
  readonly last: number
  readonly limit?: number
  readonly every: number
}

/** `glasspost tail` */
export const tailCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('tail')
      .description('print messages of a topic as they come, without leasing them, until Ctrl-C')
      .argument('<topic>')
      .option('--last <n>', 'begin with so many of each queue (default 0)', count, 0)
      .option('--limit <n>', 'end after so many', count)
      .option('--every <time>', 'how often to look (default 500ms)', duration, 500)
      .addHelpText('after', '\nExample: glasspost tail orders --json | jq -r .body'),
    async (admin, [topic = ''], { last, limit = Number.POSITIVE_INFINITY, every }: TailFlags) => {
      world.onStop(() => world.exit(exitCodes.ok))
      const next = new Map<number, number>()
      for (let left = limit; left > 0; ) {
        const fresh = (await news(admin, topic, { next, last })).slice(0, left)
        for (const message of fresh) printMessage(world, message, admin.isJson)
        left -= fresh.length
        if (fresh.length === 0) await world.sleep(every)
      }
    },
  )

/** What came since the last look, of all queues, in the order in which it was stored. */
const news = async (
  { client }: Admin,
  topic: string,
  { next, last }: { next: Map<number, number>; last: number },
): Promise<MessageJson[]> => {
  const { offsets } = await client.get<TopicDescription>(path`/v1/topics/${topic}`)
  const isFirstLook = next.size === 0
  const found: MessageJson[] = []
  for (const { queueId, offsetMin, offsetMax } of offsets) {
    const begin = isFirstLook ? Math.max(offsetMin, offsetMax - last) : offsetMin
    const fromOffset = next.get(queueId) ?? begin
    next.set(queueId, fromOffset)
    if (fromOffset >= offsetMax) continue
    const messages = await peekFrom(client, topic, { queueId, fromOffset, limit: PAGE })
    next.set(queueId, (messages.at(-1)?.queueOffset ?? offsetMax - 1) + 1)
    found.push(...messages)
  }
  return found.sort((one, other) => one.storeAtMs - other.storeAtMs)
}
