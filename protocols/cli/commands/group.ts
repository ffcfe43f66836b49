import { Command } from 'commander'
import type { GroupDescription, GroupSummary } from '../../../model/ports.ts'
import { adminAction } from '../admin/action.ts'
import { type AdminClient, path } from '../admin/client.ts'
import { fields, table } from '../admin/table.ts'
import { count } from '../admin/units.ts'
import type { World } from '../world.ts'

const PAGE = 1_000

type Group = GroupDescription & { readonly lag: number; readonly inFlight: number }

interface SettingFlags {
  readonly attemptsMax?: number
}

/** `glasspost group …` */
export const groupCommand = (world: World): Command =>
  new Command('group')
    .description('create, change, list, describe and delete consumer groups')
    .addCommand(create(world))
    .addCommand(update(world))
    .addCommand(list(world))
    .addCommand(describe(world))
    .addCommand(end(world))

const withSettings = (command: Command): Command =>
  command.option(
    '--attempts-max <n>',
    'deliveries of a message before it is dead-lettered (default 17)',
    count,
  )

const create = (world: World): Command =>
  adminAction(
    world,
    withSettings(
      new Command('create')
        .description('create a group before it first receives')
        .argument('<name>'),
    ),
    async ({ client, show }, [name = ''], { attemptsMax }: SettingFlags) => {
      const group = await client.post<Group>('/v1/groups', { name, attemptsMax })
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
    async ({ client, show }, [name = ''], { attemptsMax }: SettingFlags) => {
      const group = await client.patch<Group>(path`/v1/groups/${name}`, { attemptsMax })
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
      const groups = await allGroups(client, prefix)
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

const end = (world: World): Command =>
  adminAction(
    world,
    new Command('delete')
      .description('delete a group and its progress, for good')
      .argument('<name>'),
    async ({ client, show }, [name = '']) => {
      await client.delete(path`/v1/groups/${name}`)
      show({ deleted: name }, () => [`deleted group ${name}`])
    },
  )

const allGroups = async (client: AdminClient, prefix?: string): Promise<GroupSummary[]> => {
  const all: GroupSummary[] = []
  for (let after: string | undefined; ; ) {
    const page: { groups: GroupSummary[]; next?: string } = await client.get('/v1/groups', {
      ...{ prefix, after },
      limit: PAGE,
    })
    all.push(...page.groups)
    after = page.next
    if (after === undefined) return all
  }
}

const described = ({ name, groupId, state, attemptsMax, lag, inFlight, progress }: Group) => [
  ...fields([
    ['group', `${name} (${groupId})`],
    ['state', state],
    ['attempts', `${attemptsMax} before a message is dead-lettered`],
    ['lag', lag],
    ['in flight', inFlight],
  ]),
  '',
  ...(progress.length === 0
    ? ['it has not received from any topic yet']
    : table(
        ['TOPIC', 'QUEUE', 'ACKNOWLEDGED BELOW', 'IN FLIGHT', 'LAG'],
        progress.map(({ topic, queueId, floor, inFlight: leased, lag: behind }) => [
          ...[topic, queueId, floor, leased, behind],
        ]),
      )),
]
