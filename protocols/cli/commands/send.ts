import { Command } from 'commander'
import type { SendReceipt } from '../../../model/ports.ts'
import { type Admin, adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { property } from '../admin/properties.ts'
import { collect, count, duration, moment } from '../admin/units.ts'
import type { World } from '../world.ts'

interface SendFlags {
  readonly tag?: string
  readonly key?: readonly string[]
  readonly property?: Readonly<Record<string, string>>
  readonly messageGroup?: string
  readonly messageId?: string
  readonly delay?: number
  readonly deliverAt?: number
  readonly delayLevel?: number
  readonly lines?: boolean
}

/** `glasspost send` */
export const sendCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('send')
      .description('send a message; done when it is on disk')
      .argument('<topic>')
      .argument('[body]', 'the message; standard input when missing or -')
      .option('--tag <tag>', 'what receivers filter by')
      .option('--key <key>', 'what it can be found by; repeat for more', collect)
      .option('--property <name=value>', 'repeat for more', property)
      .option('--message-group <group>', 'makes it a FIFO message of this group')
      .option('--message-id <id>', 'made when missing')
      .option('--delay <time>', 'deliver it so much later: 90s, 2h', duration)
      .option('--deliver-at <time>', 'deliver it then: 2026-12-24T18:00:00Z', moment)
      .option('--delay-level <n>', 'RocketMQ’s delay levels: 1 for 1 s to 18 for 2 h', count)
      .option('--lines', 'send every line of standard input as a message of its own')
      .addHelpText(
        'after',
        '\nExamples:' +
          "\n  glasspost send orders 'one coffee' --tag drinks --key table-4" +
          '\n  glasspost send pictures - < coffee.png' +
          '\n  tail -f app.log | glasspost send logs --lines',
      ),
    async (
      admin,
      [topic = '', body],
      { lines, key: keys, property: properties, ...flags }: SendFlags,
    ) => {
      const { tag, messageGroup, messageId, delay: delayMs, deliverAt: deliverAtMs } = flags
      const { delayLevel } = flags
      const when = { deliverAtMs, delayMs, delayLevel }
      const draft = { tag, keys, properties, messageGroup, messageId, ...when }
      if (lines) {
        for await (const line of admin.world.inputLines())
          if (line !== '') await sendOne(admin, topic, { ...draft, body: line })
        return
      }
      const bytes = body === undefined || body === '-' ? await admin.world.input() : undefined
      const content = bytes ? { bodyBase64: bytes.toString('base64') } : { body }
      await sendOne(admin, topic, { ...draft, ...content })
    },
  )

const sendOne = async ({ client, show }: Admin, topic: string, draft: object): Promise<void> => {
  const receipt = await client.post<SendReceipt>(path`/v1/topics/${topic}/messages`, draft)
  const { messageId, queueId, queueOffset, recallHandle } = receipt
  show(receipt, () =>
    recallHandle === undefined
      ? [`${topic}/${queueId}@${queueOffset}  ${messageId}`]
      : [
          `${topic} later  ${messageId}`,
          `take it back with: timer recall ${topic} ${recallHandle}`,
        ],
  )
}
