import { Command } from 'commander'
import { adminAction } from '../admin/action.ts'
import { table } from '../admin/table.ts'
import { count, size, sizeText } from '../admin/units.ts'
import { type Phase, runLoad } from '../bench/load.ts'
import { httpTarget } from '../bench/target.ts'
import type { World } from '../world.ts'

interface BenchFlags {
  readonly messages: number
  readonly size: number
  readonly inFlight: number
  readonly queues: number
  readonly inProcess?: string | true
}

const SIZE = 1_024

/** `glasspost bench` */
export const benchCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('bench')
      .description('put a small load on a broker and report; its topic is deleted afterwards')
      .option('--messages <n>', 'how many (default 10000)', count, 10_000)
      .option('--size <size>', 'of each body (default 1KiB)', size, SIZE)
      .option('--in-flight <n>', 'requests at one time (default 64)', count, 64)
      .option('--queues <n>', 'of the topic (default 8)', count, 8)
      .option(
        '--in-process [dir]',
        'not the broker at --url, but one in this process, with its data in a new folder there',
      )
      .addHelpText(
        'after',
        '\nOver HTTP it measures the HTTP door, too; clients use gRPC, which is faster.' +
          '\nExamples:' +
          '\n  glasspost bench' +
          '\n  glasspost bench --in-process /var/lib --in-flight 256   # is this disk fit for it?',
      ),
    async ({ client, show }, _, { messages, size: sizeBytes, inFlight, ...flags }: BenchFlags) => {
      const { queues, inProcess } = flags
      const name = `glasspost-bench-${Math.floor(world.wallMs())}`
      const target =
        inProcess === undefined
          ? await httpTarget(client, { name, queues })
          : await world.benchInProcess({
              name,
              queues,
              folder: inProcess === true ? '.' : inProcess,
            })
      try {
        const options = { messages, sizeBytes, inFlight: Math.max(1, inFlight) }
        const phases = await runLoad(target, { ...options, monotonicMs: world.monotonicMs })
        show({ target: target.name, ...options, phases }, () => [
          `${target.name}: ${messages} messages of ${sizeText(sizeBytes)}, ${inFlight} in flight`,
          '',
          ...phaseLines(phases),
        ])
      } finally {
        await target.close()
      }
    },
  )

const ms = (value: number): string => value.toFixed(1)

const phaseLines = (phases: readonly Phase[]): string[] =>
  table(
    ['PHASE', 'PER SECOND', 'P50 MS', 'P99 MS', 'MAX MS'],
    phases.map(({ what, perSecond, p50Ms, p99Ms, maxMs }) => [
      ...[what, Math.round(perSecond), ms(p50Ms), ms(p99Ms), ms(maxMs)],
    ]),
  )
