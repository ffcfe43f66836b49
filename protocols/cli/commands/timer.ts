import { Command } from 'commander'
import type { PendingTimer, RecallResult } from '../../../model/timer/timers.ts'
import { adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { fields, table } from '../admin/table.ts'
import { count, duration, moment, sizeText, timeText } from '../admin/units.ts'
import { exitCodes } from '../exit-codes.ts'
import type { World } from '../world.ts'

interface Wanted {
  readonly topic?: string
  readonly from?: number
  readonly to?: number
  readonly key?: string
  readonly messageId?: string
}

interface TimerPageJson {
  readonly timers: readonly PendingTimer[]
  readonly count: number
  readonly next?: string
}

/** `glasspost timer …` */
export const timerCommand = (world: World): Command =>
  new Command('timer')
    .description('messages that wait for their delivery time')
    .addCommand(list(world))
    .addCommand(show(world))
    .addCommand(recall(world))
    .addCommand(reschedule(world))
    .addCommand(fire(world))
    .addCommand(cancel(world))

const withWanted = (command: Command): Command =>
  command
    .option('--topic <topic>', 'only of this topic')
    .option('--from <time>', 'due at or after, such as 2026-12-24T18:00:00Z', moment)
    .option('--to <time>', 'due before', moment)
    .option('--key <key>', 'with this key')
    .option('--message-id <id>', 'with this message id')

const wantedOf = ({ topic, from: fromMs, to: toMs, key, messageId }: Wanted) => ({
  ...{ topic, fromMs, toMs, key, messageId },
})

const list = (world: World): Command =>
  adminAction(
    world,
    withWanted(new Command('list').description('those that wait, the next one first'))
      .option('--limit <n>', 'so many at most (default 100)', count)
      .option('--after <next>', 'go on behind a page'),
    async (
      { client, show: print },
      _,
      { limit, after, ...wanted }: Wanted & { readonly limit?: number; readonly after?: string },
    ) => {
      const query = { ...wantedOf(wanted), limit, after }
      const page = await client.get<TimerPageJson>('/v1/timers', query)
      print(page, () =>
        page.timers.length === 0
          ? ['none waits']
          : [
              ...table(
                ['TIMER', 'DUE', 'TOPIC', 'TAG', 'MESSAGE'],
                page.timers.map(({ timerId, dueAtMs, topic, tag, messageId }) => [
                  ...[timerId, timeText(dueAtMs), topic, tag, messageId],
                ]),
              ),
              ...(page.next === undefined ? [] : [`more: --after ${page.next}`]),
            ],
      )
    },
  )

const show = (world: World): Command =>
  adminAction(
    world,
    new Command('show').description('one that waits').argument('<timer>'),
    async ({ client, show: print }, [timerId = '']) => {
      const timer = await client.get<PendingTimer>(path`/v1/timers/${timerId}`)
      print(timer, () => described(timer))
    },
  )

const outcomes: Readonly<Record<RecallResult['outcome'], string>> = {
  recalled: 'recalled: it will not be delivered',
  delivered: 'too late: it was delivered',
  forgotten: 'it ended too long ago to say how',
  invalid: 'this is no handle of this topic and broker',
}

const recall = (world: World): Command =>
  adminAction(
    world,
    new Command('recall')
      .description('take a message back by the handle of its send receipt')
      .argument('<topic>')
      .argument('<handle>'),
    async ({ client, show: print }, [topic = '', recallHandle = '']) => {
      const result = await client.post<RecallResult>(path`/v1/topics/${topic}/recall`, {
        recallHandle,
      })
      print(result, () => [outcomes[result.outcome]])
      if (result.outcome !== 'recalled') world.exit(exitCodes.failed)
    },
  )

const reschedule = (world: World): Command =>
  adminAction(
    world,
    new Command('reschedule')
      .description('deliver it at another time')
      .argument('<timer>')
      .option('--at <time>', 'such as 2026-12-24T18:00:00Z', moment)
      .option('--in <time>', 'so long from now: 90s, 2h', duration)
      .addHelpText('after', '\nExample: glasspost timer reschedule 17 --in 2h'),
    async (
      { client, show: print },
      [timerId = ''],
      { at, in: delayMs = 0 }: { readonly at?: number; readonly in?: number },
    ) => {
      const dueAtMs = at ?? world.wallMs() + delayMs
      const timer = await client.patch<PendingTimer>(path`/v1/timers/${timerId}`, { dueAtMs })
      print(timer, () => described(timer))
    },
  )

const fire = (world: World): Command =>
  adminAction(
    world,
    new Command('fire').description('deliver it now').argument('<timer>'),
    async ({ client, show: print }, [timerId = '']) => {
      await client.post(path`/v1/timers/${timerId}/fire`, undefined)
      print({ fired: timerId }, () => [`delivered timer ${timerId}`])
    },
  )

const cancel = (world: World): Command =>
  adminAction(
    world,
    withWanted(
      new Command('cancel')
        .description('never deliver one, or all that match')
        .argument('[timer]')
        .addHelpText(
          'after',
          '\nExamples:\n  glasspost timer cancel 17' +
            '\n  glasspost timer cancel --topic reminders --key customer-3',
        ),
    ),
    async ({ client, show: print }, [timerId], wanted: Wanted) => {
      if (timerId !== undefined) {
        await client.delete(path`/v1/timers/${timerId}`)
        print({ cancelled: 1 }, () => [`cancelled timer ${timerId}`])
        return
      }
      const answer = await client.post<{ cancelled: number }>('/v1/timers/cancel', wantedOf(wanted))
      print(answer, () => [`cancelled ${answer.cancelled} timers`])
    },
  )

const described = (timer: PendingTimer): string[] =>
  fields([
    ['timer', timer.timerId],
    ['topic', timer.topic],
    ['due', timeText(timer.dueAtMs)],
    ['scheduled', timeText(timer.scheduledAtMs)],
    ['message', timer.messageId],
    ['tag', timer.tag === '' ? undefined : timer.tag],
    ['keys', timer.keys.length === 0 ? undefined : timer.keys.join(', ')],
    ['size', sizeText(timer.bytes)],
  ])
