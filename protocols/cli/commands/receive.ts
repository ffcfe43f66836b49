import { Command } from 'commander'
import { adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { type MessageJson, printMessage } from '../admin/messages.ts'
import { count, duration } from '../admin/units.ts'
import type { World } from '../world.ts'

const BATCH_MAX = 32
const WAIT_MS_MAX = 20_000

interface ReceiveFlags {
  readonly group: string
  readonly filter?: string
  readonly max: number
  readonly wait: number
  readonly invisible?: number
  readonly ack?: boolean
}

/** `glasspost receive` */
export const receiveCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('receive')
      .description('take messages on lease, for a group; what is not acknowledged comes again')
      .argument('<topic>')
      .requiredOption('--group <group>', 'made when it does not exist')
      .option('--filter <tags>', "tags joined by '||'")
      .option('--max <n>', 'at most so many (default 1)', count, 1)
      .option('--wait <time>', 'wait for a first message: 20s (default: do not)', duration, 0)
      .option('--invisible <time>', 'keep them from others for so long (default 60s)', duration)
      .option('--ack', 'acknowledge each after it was printed')
      .addHelpText(
        'after',
        '\nExamples:' +
          '\n  glasspost receive orders --group billing --max 10 --wait 5s --ack' +
          '\n  glasspost receive orders --group billing --json | jq -r .receiptHandle',
      ),
    async (
      { client, isJson },
      [topic = ''],
      { group, filter, max, wait, invisible, ack }: ReceiveFlags,
    ) => {
      let waitMs = wait
      for (let left = max; left > 0; ) {
        const { messages } = await client.post<{ messages: MessageJson[] }>(
          path`/v1/groups/${group}/receive`,
          {
            ...{ topic, filter, invisibleMs: invisible },
            batchMax: Math.min(left, BATCH_MAX),
            waitMs: Math.min(waitMs, WAIT_MS_MAX),
          },
        )
        for (const message of messages) {
          printMessage(world, message, isJson)
          const { receiptHandle } = message
          if (ack) await client.post('/v1/receipts/ack', { receiptHandle })
        }
        left -= messages.length
        waitMs = messages.length > 0 ? 0 : waitMs - WAIT_MS_MAX
        if (messages.length === 0 && waitMs <= 0) break
      }
    },
  )
