import { Command } from 'commander'
import { BrokerError } from '../../../model/errors.ts'
import type {
  PendingTransaction,
  TransactionResolution,
} from '../../../model/transaction/transactions.ts'
import { adminAction } from '../admin/action.ts'
import { allOf } from '../admin/pages.ts'
import { table } from '../admin/table.ts'
import { timeText } from '../admin/units.ts'
import type { World } from '../world.ts'

/** `glasspost transaction …` */
export const transactionCommand = (world: World): Command =>
  new Command('transaction')
    .description('half messages that wait for the decision of their producer')
    .addCommand(list(world))
    .addCommand(resolve(world, 'commit', 'deliver its message'))
    .addCommand(resolve(world, 'rollback', 'drop its message'))

const list = (world: World): Command =>
  adminAction(
    world,
    new Command('list')
      .description('all that wait; a parked one waits for you')
      .option('--topic <topic>', 'only of this topic'),
    async ({ client, show }, _, { topic }: { readonly topic?: string }) => {
      const transactions = await allOf<PendingTransaction>(client, 'transactions', { topic })
      show({ transactions }, () =>
        transactions.length === 0
          ? ['none waits']
          : table(
              ['MESSAGE', 'TOPIC', 'STATE', 'CHECKS', 'PREPARED', 'NEXT CHECK'],
              transactions.map((each) => [
                ...[each.messageId, each.topic, each.state, each.checks],
                timeText(each.preparedAtMs),
                each.nextCheckAtMs === undefined ? undefined : timeText(each.nextCheckAtMs),
              ]),
            ),
      )
    },
  )

const resolve = (world: World, resolution: TransactionResolution, what: string): Command =>
  adminAction(
    world,
    new Command(resolution)
      .description(`${what}: decide in place of its producer`)
      .argument('<id>', 'transaction id or message id'),
    async ({ client, show }, [id = '']) => {
      const found = (await allOf<PendingTransaction>(client, 'transactions')).filter(
        ({ transactionId, messageId }) => transactionId === id || messageId === id,
      )
      if (found.length === 0) throw new BrokerError('TRANSACTION_NOT_FOUND', { transactionId: id })
      for (const { topic, transactionId, messageId } of found)
        await client.post('/v1/transactions/end', {
          ...{ topic, transactionId, messageId, resolution },
        })
      show({ resolution, resolved: found.length }, () => [
        `${resolution === 'commit' ? 'committed' : 'rolled back'} ${id}`,
      ])
    },
  )
