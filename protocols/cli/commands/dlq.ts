import { Command } from 'commander'
import type { DeadLetter } from '../../../model/delivery/administration.ts'
import { adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { printable } from '../admin/messages.ts'
import { table } from '../admin/table.ts'
import { collect, count, sizeText, timeText } from '../admin/units.ts'
import type { World } from '../world.ts'

interface LettersJson {
  readonly deadLetters: readonly DeadLetter[]
  readonly next?: string
}

interface Which {
  readonly id?: readonly string[]
  readonly all?: boolean
}

/** `glasspost dlq …` */
export const dlqCommand = (world: World): Command =>
  new Command('dlq')
    .description('dead letters: messages that a group could not handle')
    .addCommand(list(world))
    .addCommand(redrive(world))
    .addCommand(purge(world))

const list = (world: World): Command =>
  adminAction(
    world,
    new Command('list')
      .description('the dead letters of a group, oldest first; nothing is leased')
      .argument('<group>')
      .option('--limit <n>', 'so many at most (default 100)', count)
      .option('--after <next>', 'go on behind a page'),
    async (
      { client, show },
      [group = ''],
      query: { readonly limit?: number; readonly after?: string },
    ) => {
      const { limit, after } = query
      const page = await client.get<LettersJson>(path`/v1/groups/${group}/dead-letters`, {
        limit,
        after,
      })
      show(page, () =>
        page.deadLetters.length === 0
          ? ['no dead letters']
          : [
              ...table(
                ['MESSAGE', 'SINCE', 'FROM', 'SIZE', 'REASON'],
                page.deadLetters.map(({ messageId, storeAtMs, originTopic, bytes, reason }) => [
                  ...[messageId, timeText(storeAtMs), originTopic, sizeText(bytes), reason],
                ]),
              ).map(printable),
              ...(page.next === undefined ? [] : [`more: --after ${page.next}`]),
            ],
      )
    },
  )

const redrive = (world: World): Command =>
  adminAction(
    world,
    new Command('redrive')
      .description('send dead letters back to the topics they came from: all, or some')
      .argument('<group>')
      .option('--id <message-id>', 'only this one; may be repeated', collect)
      .addHelpText('after', '\nEvery group of those topics receives them again.'),
    async ({ client, show }, [group = ''], { id: messageIds }: Which) => {
      const answer = await client.post<{ redriven: number }>(
        path`/v1/groups/${group}/dead-letters/redrive`,
        { messageIds },
      )
      show(answer, () => [`redriven ${answer.redriven}`])
    },
  )

const purge = (world: World): Command =>
  adminAction(
    world,
    new Command('purge')
      .description('forget dead letters for good: some, or all')
      .argument('<group>')
      .option('--id <message-id>', 'this one; may be repeated', collect)
      .option('--all', 'all of them'),
    async ({ client, show }, [group = ''], { id: messageIds, all }: Which) => {
      const answer = await client.post<{ purged: number }>(
        path`/v1/groups/${group}/dead-letters/purge`,
        { messageIds, all },
      )
      show(answer, () => [`purged ${answer.purged}`])
    },
  )
