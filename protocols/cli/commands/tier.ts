import { resolve } from 'node:path'
import { Command } from 'commander'
import type { TierStatus } from '../../../model/tier/tier-admin.ts'
import type { TierDone } from '../../../model/tier/tier-lines.ts'
import { type Admin, adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { printable } from '../admin/messages.ts'
import { table } from '../admin/table.ts'
import { isWaiting, statusLines } from '../admin/tier-lines.ts'
import { type FetchedObject, tierSteps } from '../admin/tier-stream.ts'
import { sizeText } from '../admin/units.ts'
import { exitCodes } from '../exit-codes.ts'
import { type Progress, progressBar } from '../progress.ts'
import type { World } from '../world.ts'

interface Problem {
  readonly key: string
  readonly problem: string
}

/** `glasspost tier …` */
export const tierCommand = (world: World): Command =>
  new Command('tier')
    .description('history in S3 or a directory: what is there, what waits, what it costs')
    .addCommand(status(world))
    .addCommand(offload(world))
    .addCommand(verify(world))
    .addCommand(fetch(world))

const status = (world: World): Command =>
  adminAction(
    world,
    new Command('status')
      .description('what the tier holds, does, waits for and costs')
      .argument('[topic]', 'every queue of this one')
      .option('--all', 'every queue, not only those that are stuck')
      .addHelpText(
        'after',
        '\nBEHIND counts messages that only the log has. Costs are estimated by the prices in the' +
          '\nsettings. Exit code 0 when all goes on, 5 while a queue waits because something failed' +
          '\nor the budget is used up; docs/tiering.md says what to do about each state.',
      ),
    async ({ client, show }, [topic], { all = false }: { readonly all?: boolean }) => {
      const found = await client.get<TierStatus>('/v1/tier', { topic })
      show(found, () => statusLines(found, { all: all || topic !== undefined }))
      if (isWaiting(found)) world.exit(exitCodes.tryAgain)
    },
  )

const offload = (world: World): Command =>
  adminAction(
    world,
    new Command('offload')
      .description('upload what the log has now, without waiting for full segments')
      .argument('[topic]', 'of this one; without it of all')
      .addHelpText(
        'after',
        '\nCosts more requests than to wait. Stopping it stops after an object.',
      ),
    async (admin, [topic]) => {
      const how = { title: 'offloading', path: '/v1/tier/offload', textOf: messagesText }
      const ended = await watch(admin, { ...how, topic })
      conclude(admin, ended, 'offloaded')
    },
  )

const verify = (world: World): Command =>
  adminAction(
    world,
    new Command('verify')
      .description('read every object, and compare it with itself and the claims on it')
      .argument('[topic]', 'of this one; without it of all')
      .addHelpText(
        'after',
        '\nDownloads everything once, which the store may bill. Exit code 1 when something is wrong.',
      ),
    async (admin, [topic]) => {
      const how = { title: 'verifying', path: '/v1/tier/verify', textOf: countText }
      const ended = await watch(admin, { ...how, topic })
      conclude(admin, ended, 'verified')
    },
  )

const fetch = (world: World): Command =>
  adminAction(
    world,
    new Command('fetch')
      .description('write the objects of a topic into a new or empty directory')
      .argument('<topic>')
      .requiredOption('--to <dir>', 'a directory of this machine')
      .addHelpText(
        'after',
        '\nManifest and objects lie there as in a tier that is a directory, and can be read alone' +
          '\n(docs/formats/segment.md). Downloads everything once, which the store may bill.' +
          '\nExample: glasspost tier fetch orders --to orders-history',
      ),
    async (admin, [topic = ''], { to }: { readonly to: string }) => {
      const directory = resolve(to)
      const bar = progressBar('fetching', countText)
      const problems: Problem[] = []
      let done: TierDone | undefined
      async function* objects(): AsyncGenerator<FetchedObject> {
        const asked = {
          ...({ method: 'GET', path: path`/v1/tier/topics/${topic}/objects` } as const),
          hasContent: true,
        }
        done = yield* eachOf(tierSteps(admin.client, asked), bar, problems)
      }
      await world.saveObjects(directory, objects()).finally(bar.stop)
      conclude(admin, { done, problems, directory }, 'fetched')
    },
  )

interface Ended {
  readonly done: TierDone | undefined
  readonly problems: readonly Problem[]
  readonly directory?: string
}

const messagesText = (count: number): string => `${count.toLocaleString('en-US')} messages`
const countText = (count: number): string => `${count.toLocaleString('en-US')} objects`

/** Passes steps on, shows how far it is, and keeps what is wrong. */
async function* eachOf<Step extends { key: string; done: number; of: number; problem?: string }>(
  steps: AsyncGenerator<Step, TierDone>,
  bar: Progress,
  problems: Problem[],
): AsyncGenerator<Step, TierDone> {
  for (;;) {
    const { done, value } = await steps.next()
    if (done === true) return value
    bar.update(value)
    if (value.problem !== undefined) problems.push({ key: value.key, problem: value.problem })
    yield value
  }
}

interface Watched {
  readonly topic: string | undefined
  readonly title: string
  readonly path: string
  readonly textOf: (count: number) => string
}

const watch = async (
  { client }: Admin,
  { topic, title, path: to, textOf }: Watched,
): Promise<Ended> => {
  const bar = progressBar(title, textOf)
  const problems: Problem[] = []
  try {
    const asked = { method: 'POST', path: to, query: { topic } } as const
    const steps = eachOf(tierSteps(client, asked), bar, problems)
    for (;;) {
      const { done, value } = await steps.next()
      if (done === true) return { done: value, problems }
    }
  } finally {
    bar.stop()
  }
}

const conclude = ({ show, world }: Admin, ended: Ended, verb: string): void => {
  const { done, problems, directory } = ended
  const { objects = 0, bytes = 0 } = done ?? {}
  show({ objects, bytes, problems, ...(directory === undefined ? {} : { directory }) }, () => [
    `${verb} ${countText(objects)} (${sizeText(bytes)})${directory === undefined ? '' : ` into ${directory}`}`,
    ...(problems.length === 0
      ? []
      : [
          `${problems.length} WRONG`,
          '',
          ...table(
            ['OBJECT', 'PROBLEM'],
            problems.map(({ key, problem }) => [key, problem]),
          ).map(printable),
        ]),
  ])
  if (problems.length > 0) world.exit(exitCodes.failed)
}
