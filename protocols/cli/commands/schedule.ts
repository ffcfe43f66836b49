import { Command, Option } from 'commander'
import type { ScheduleDescription, ScheduleRule } from '../../../model/schedule/schedules.ts'
import { adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { property } from '../admin/properties.ts'
import { fields, table } from '../admin/table.ts'
import { collect, durationText, timeText } from '../admin/units.ts'
import type { World } from '../world.ts'

interface CreateFlags {
  readonly topic: string
  readonly body: string
  readonly every?: string
  readonly cron?: string
  readonly timeZone?: string
  readonly missed?: string
  readonly tag?: string
  readonly key?: readonly string[]
  readonly property?: Readonly<Record<string, string>>
  readonly messageGroup?: string
}

/** `glasspost schedule …` */
export const scheduleCommand = (world: World): Command =>
  new Command('schedule')
    .description('messages that are sent again and again')
    .addCommand(create(world))
    .addCommand(list(world))
    .addCommand(show(world))
    .addCommand(change(world, 'pause', 'cancel the next run, and plan no other'))
    .addCommand(change(world, 'resume', 'go on with the first run after now'))
    .addCommand(end(world))

const create = (world: World): Command =>
  adminAction(
    world,
    new Command('create')
      .description('send a message at every run; the same creation twice is harmless')
      .argument('<name>')
      .requiredOption('--topic <topic>', 'of type DELAY or MIXED')
      .requiredOption('--body <text>', 'what each run sends')
      .option('--every <span>', "an interval: '10 minutes', 1h")
      .option('--cron <pattern>', "five parts, or six with seconds first: '0 2 * * *'")
      .option('--time-zone <zone>', 'of the pattern: Europe/Berlin (default UTC)')
      .addOption(
        new Option(
          '--missed <what>',
          'runs whose time passed while no broker ran: one is made up for, or none (default once)',
        ).choices(['once', 'skip']),
      )
      .option('--tag <tag>', 'what receivers filter by')
      .option('--key <key>', 'what it can be found by; repeat for more', collect)
      .option('--property <name=value>', 'repeat for more', property)
      .option('--message-group <group>', 'runs are delivered in order, one after the other')
      .addHelpText(
        'after',
        '\nExample: glasspost schedule create nightly --topic reports --body go' +
          " --cron '0 2 * * *' --time-zone Europe/Berlin",
      ),
    async ({ client, show: print }, [name = ''], flags: CreateFlags) => {
      const { topic, every, cron, timeZone, missed, body, tag, messageGroup } = flags
      const message = { body, tag, keys: flags.key, properties: flags.property, messageGroup }
      const asked = { name, topic, every, cron, timeZone, missed, message }
      const schedule = await client.post<ScheduleDescription>('/v1/schedules', asked)
      print(schedule, () => described(schedule))
    },
  )

const list = (world: World): Command =>
  adminAction(
    world,
    new Command('list')
      .description('all schedules, in order of name')
      .option('--topic <topic>', 'only of this topic'),
    async ({ client, show: print }, _, { topic }: { readonly topic?: string }) => {
      const answer = await client.get<{ schedules: ScheduleDescription[] }>('/v1/schedules', {
        topic,
      })
      print(answer, () =>
        answer.schedules.length === 0
          ? ['no schedules yet: glasspost schedule create NAME']
          : table(
              ['NAME', 'TOPIC', 'RUNS', 'STATE', 'NEXT'],
              answer.schedules.map(({ name, topic: to, rule, state, nextRunAtMs }) => [
                ...[name, to, ruleText(rule), state, nextText(nextRunAtMs)],
              ]),
            ),
      )
    },
  )

const show = (world: World): Command =>
  adminAction(
    world,
    new Command('show').description('one schedule').argument('<name>'),
    async ({ client, show: print }, [name = '']) => {
      const schedule = await client.get<ScheduleDescription>(path`/v1/schedules/${name}`)
      print(schedule, () => described(schedule))
    },
  )

const change = (world: World, what: 'pause' | 'resume', description: string): Command =>
  adminAction(
    world,
    new Command(what).description(description).argument('<name>'),
    async ({ client, show: print }, [name = '']) => {
      const at = `${path`/v1/schedules/${name}`}/${what}`
      const schedule = await client.post<ScheduleDescription>(at, undefined)
      print(schedule, () => described(schedule))
    },
  )

const end = (world: World): Command =>
  adminAction(
    world,
    new Command('delete').description('delete a schedule and its next run').argument('<name>'),
    async ({ client, show: print }, [name = '']) => {
      await client.delete(path`/v1/schedules/${name}`)
      print({ deleted: name }, () => [`deleted schedule ${name}`])
    },
  )

const ruleText = (rule: ScheduleRule): string =>
  'cron' in rule ? `${rule.cron} ${rule.timeZone}` : `every ${durationText(rule.everyMs)}`

const nextText = (nextRunAtMs: number | undefined): string | undefined =>
  nextRunAtMs === undefined ? undefined : timeText(nextRunAtMs)

const described = (schedule: ScheduleDescription): string[] =>
  fields([
    ['schedule', schedule.name],
    ['topic', schedule.topic],
    ['runs', ruleText(schedule.rule)],
    ['missed', schedule.missed === 'once' ? 'made up for once' : 'skipped'],
    ['state', schedule.state],
    ['next', nextText(schedule.nextRunAtMs)],
    ['timer', schedule.timerId],
  ])
