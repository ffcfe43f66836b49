import { Command, Option } from 'commander'
import { topicTypes } from '../../../model/addressing/topic.ts'
import type { TopicDescription, TopicSummary } from '../../../model/ports.ts'
import { adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { allOf } from '../admin/pages.ts'
import { pausing } from '../admin/pausing.ts'
import { fields, table } from '../admin/table.ts'
import { count, duration, durationText, size, sizeText } from '../admin/units.ts'
import type { World } from '../world.ts'

interface SettingFlags {
  readonly type?: string
  readonly queues?: number
  readonly retention?: number
  readonly retentionSize?: number
}

/** `glasspost topic …` */
export const topicCommand = (world: World): Command =>
  new Command('topic')
    .description('create, change, list, describe, pause and delete topics')
    .addCommand(create(world))
    .addCommand(update(world))
    .addCommand(
      pausing(world, 'topic', 'pause', 'hold its scheduled messages, however late they become'),
    )
    .addCommand(
      pausing(
        world,
        'topic',
        'resume',
        'let its scheduled messages come, those that are overdue in order',
      ),
    )
    .addCommand(list(world))
    .addCommand(describe(world))
    .addCommand(end(world))

const withSettings = (command: Command): Command =>
  command
    .option('--queues <n>', 'how many queues; may grow later, not shrink (default 8)', count)
    .option('--retention <time>', 'how long messages are kept: 72h, 7d (default 72h)', duration)
    .option('--retention-size <size>', 'how much is kept: 10GiB; 0 for no limit (default)', size)

const create = (world: World): Command =>
  adminAction(
    world,
    withSettings(
      new Command('create')
        .description('create a topic; the same settings twice are harmless')
        .argument('<name>')
        .addOption(
          new Option(
            '--type <type>',
            `what it takes: ${topicTypes.join(', ')} (default NORMAL)`,
          ).choices(topicTypes),
        ),
    ).addHelpText('after', '\nExample: glasspost topic create orders --type FIFO --queues 4'),
    async ({ client, show }, [name = ''], flags: SettingFlags) => {
      const topic = await client.post<TopicDescription>('/v1/topics', { name, ...bodyOf(flags) })
      show(topic, () => [`created ${topic.type} topic ${name} with ${topic.queues} queues`])
    },
  )

const update = (world: World): Command =>
  adminAction(
    world,
    withSettings(
      new Command('update')
        .description('change settings; what is not named stays')
        .argument('<name>'),
    ).addHelpText('after', '\nExample: glasspost topic update orders --queues 8 --retention 7d'),
    async ({ client, show }, [name = ''], flags: SettingFlags) => {
      const topic = await client.patch<TopicDescription>(path`/v1/topics/${name}`, bodyOf(flags))
      show(topic, () => described(topic))
    },
  )

const list = (world: World): Command =>
  adminAction(
    world,
    new Command('list')
      .description('all topics, in order of name')
      .option('--prefix <prefix>', 'only names that begin so'),
    async ({ client, show }, _, { prefix }: { readonly prefix?: string }) => {
      const topics = await allOf<TopicSummary>(client, 'topics', { prefix })
      show({ topics }, () =>
        topics.length === 0
          ? ['no topics yet: glasspost topic create NAME']
          : table(
              ['NAME', 'TYPE', 'QUEUES', 'STATE'],
              topics.map(({ name, type, queues, state }) => [name, type, queues, state]),
            ),
      )
    },
  )

const describe = (world: World): Command =>
  adminAction(
    world,
    new Command('describe').description('settings, size and queues').argument('<name>'),
    async ({ client, show }, [name = '']) => {
      const topic = await client.get<TopicDescription>(path`/v1/topics/${name}`)
      show(topic, () => described(topic))
    },
  )

const end = (world: World): Command =>
  adminAction(
    world,
    new Command('delete')
      .description('delete a topic and its messages, for good')
      .argument('<name>'),
    async ({ client, show }, [name = '']) => {
      await client.delete(path`/v1/topics/${name}`)
      show({ deleted: name }, () => [`deleted topic ${name}`])
    },
  )

const bodyOf = ({ type, queues, retention, retentionSize }: SettingFlags) => ({
  ...{ type, queues },
  ...(retention === undefined && retentionSize === undefined
    ? {}
    : { retention: { ageMs: retention, bytes: retentionSize } }),
})

const described = (topic: TopicDescription): string[] => {
  const { name, topicId, type, state, paused, messages, bytes, retention, offsets } = topic
  return [
    ...fields([
      ['topic', `${name} (${topicId})`],
      ['type', type],
      ['state', paused ? `${state}, paused` : state],
      ['messages', messages],
      ['size', sizeText(bytes)],
      ['kept', `${durationText(retention.ageMs)}${keptSizeText(retention.bytes)}`],
    ]),
    '',
    ...table(
      ['QUEUE', 'FIRST', 'END', 'MESSAGES'],
      offsets.map(({ queueId, offsetMin, offsetMax }) => [
        queueId,
        offsetMin,
        offsetMax,
        offsetMax - offsetMin,
      ]),
    ),
  ]
}

const keptSizeText = (bytes: number): string => (bytes === 0 ? '' : `, at most ${sizeText(bytes)}`)
