import { Command, InvalidArgumentError, Option } from 'commander'
import { startPositions } from '../../../model/addressing/group.ts'
import type { OffsetResetResult } from '../../../model/delivery/administration.ts'
import type { RetryPolicy } from '../../../model/delivery/retry-policy.ts'
import type { GroupDescription, GroupSummary } from '../../../model/ports.ts'
import { adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { allOf } from '../admin/pages.ts'
import { pausing } from '../admin/pausing.ts'
import { fields, table } from '../admin/table.ts'
import { count, duration, durationText } from '../admin/units.ts'
import type { World } from '../world.ts'

type Group = GroupDescription & { readonly lag: number; readonly inFlight: number }

interface SettingFlags {
  readonly attemptsMax?: number
  readonly startFrom?: string
  readonly retrySteps?: readonly number[]
}

interface ResetFlags {
  readonly topic: string
  readonly queue?: number
  readonly to: object
}

/** `glasspost group …` */
export const groupCommand = (world: World): Command =>
  new Command('group')
    .description('create, change, list, describe, pause, reset and delete consumer groups')
    .addCommand(create(world))
    .addCommand(update(world))
    .addCommand(list(world))
    .addCommand(describe(world))
    .addCommand(
      pausing(
        world,
        'group',
        'pause',
        'let its receives wait and answer with nothing; acknowledgements go on',
      ),
    )
    .addCommand(pausing(world, 'group', 'resume', 'let it receive again'))
    .addCommand(reset(world))
    .addCommand(end(world))

const withSettings = (command: Command): Command =>
  command
    .option(
      '--attempts-max <n>',
      'deliveries of a message before it is dead-lettered (default 17)',
      count,
    )
    .option(
      '--retry-steps <times>',
      'how long a refused message stays away, by attempt: 10s,30s,5m',
      steps,
    )
    .addOption(
      new Option(
        '--start-from <position>',
        'where it begins on a topic that it never read: earliest or latest (default earliest)',
      ).choices(startPositions),
    )

const steps = (text: string): readonly number[] => text.split(',').map(duration)

const bodyOf = ({ attemptsMax, startFrom, retrySteps: stepsMs }: SettingFlags) => ({
  ...{ attemptsMax, startFrom },
  ...(stepsMs === undefined ? {} : { retry: { kind: 'customized', stepsMs } }),
})

const create = (world: World): Command =>
  adminAction(
    world,
    withSettings(
      new Command('create')
        .description('create a group before it first receives')
        .argument('<name>'),
    ),
    async ({ client, show }, [name = ''], flags: SettingFlags) => {
      const group = await client.post<Group>('/v1/groups', { name, ...bodyOf(flags) })
      show(group, () => [`created group ${name}`])
    },
  )

const update = (world: World): Command =>
  adminAction(
    world,
    withSettings(
      new Command('update')
        .description('change settings; what is not named stays')
        .argument('<name>'),
    ),
    async ({ client, show }, [name = ''], flags: SettingFlags) => {
      const group = await client.patch<Group>(path`/v1/groups/${name}`, bodyOf(flags))
      show(group, () => described(group))
    },
  )

const list = (world: World): Command =>
  adminAction(
    world,
    new Command('list')
      .description('all consumer groups, in order of name')
      .option('--prefix <prefix>', 'only names that begin so'),
    async ({ client, show }, _, { prefix }: { readonly prefix?: string }) => {
      const groups = await allOf<GroupSummary>(client, 'groups', { prefix })
      show({ groups }, () =>
        groups.length === 0
          ? ['no groups yet: a group is made when it first receives']
          : table(
              ['NAME', 'STATE'],
              groups.map(({ name, state }) => [name, state]),
            ),
      )
    },
  )

const describe = (world: World): Command =>
  adminAction(
    world,
    new Command('describe').description('settings, and lag on every queue').argument('<name>'),
    async ({ client, show }, [name = '']) => {
      const group = await client.get<Group>(path`/v1/groups/${name}`)
      show(group, () => described(group))
    },
  )

/** `earliest`, `latest`, an offset, or a time. */
const position = (text: string): object => {
  if (text === 'earliest' || text === 'latest') return { at: text }
  if (/^\d+$/.test(text)) return { at: 'offset', queueOffset: Number(text) }
  const timeMs = Date.parse(text)
  if (Number.isNaN(timeMs))
    throw new InvalidArgumentError(
      'Give earliest, latest, an offset, or a time such as 2027-01-31T08:00:00Z.',
    )
  return { at: 'time', timeMs }
}

const reset = (world: World): Command =>
  adminAction(
    world,
    new Command('reset')
      .description('go on reading elsewhere; what is leased is taken back')
      .argument('<name>')
      .requiredOption('--topic <topic>', 'whose queues')
      .requiredOption('--to <position>', 'earliest, latest, an offset, or a time', position)
      .option('--queue <n>', 'only this queue', count)
      .addHelpText(
        'after',
        '\nExamples:' +
          '\n  glasspost group reset billing --topic orders --to earliest' +
          '\n  glasspost group reset billing --topic orders --to 2027-01-31T08:00:00Z',
      ),
    async ({ client, show }, [name = ''], { topic, queue: queueId, to }: ResetFlags) => {
      const moved = await client.post<{ queues: OffsetResetResult[] }>(
        path`/v1/groups/${name}/offsets`,
        { topic, queueId, to },
      )
      show(moved, () =>
        table(
          ['QUEUE', 'WAS AT', 'IS AT'],
          moved.queues.map(({ queueId: queue, from, to: now }) => [queue, from, now]),
        ),
      )
    },
  )

const end = (world: World): Command =>
  adminAction(
    world,
    new Command('delete')
      .description('delete a group and its progress, for good; its dead letters stay')
      .argument('<name>'),
    async ({ client, show }, [name = '']) => {
      const { deadLetters } = await client.get<{ deadLetters: readonly unknown[] }>(
        path`/v1/groups/${name}/dead-letters`,
        { limit: 1 },
      )
      await client.delete(path`/v1/groups/${name}`)
      show({ deleted: name }, () => [
        `deleted group ${name}`,
        ...(deadLetters.length === 0 ? [] : [`its dead letters stay: glasspost dlq list ${name}`]),
      ])
    },
  )

const retryText = (retry: RetryPolicy): string =>
  retry.kind === 'customized'
    ? retry.stepsMs.map(durationText).join(', ')
    : `${durationText(retry.initialMs)} to ${durationText(retry.maxMs)}, times ${retry.multiplier}`

const described = (group: Group): string[] => [
  ...fields([
    ['group', `${group.name} (${group.groupId})`],
    ['state', group.paused ? `${group.state}, paused` : group.state],
    ['begins', group.startFrom],
    ['attempts', `${group.attemptsMax} before a message is dead-lettered`],
    ['retries', `after ${retryText(group.retry)}`],
    ['lag', group.lag],
    ['in flight', group.inFlight],
  ]),
  '',
  ...(group.progress.length === 0
    ? ['it has not received from any topic yet']
    : table(
        ['TOPIC', 'QUEUE', 'ACKNOWLEDGED BELOW', 'IN FLIGHT', 'LAG'],
        group.progress.map(({ topic, queueId, floor, inFlight, lag }) => [
          ...[topic, queueId, floor, inFlight, lag],
        ]),
      )),
]
