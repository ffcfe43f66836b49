import { Command } from 'commander'
import { adminAction } from '../admin/action.ts'
import { table } from '../admin/table.ts'
import { durationText } from '../admin/units.ts'
import { exitCodes } from '../exit-codes.ts'
import type { World } from '../world.ts'

interface Readiness {
  readonly ready: boolean
  readonly refusal?: string
  readonly quietLoops?: number
  readonly loops?: readonly {
    readonly address: string
    readonly state: string
    readonly restarts: number
    readonly lastError?: string
    readonly nextTryInMs?: number
  }[]
}

const NOT_READY = 503

/** `glasspost status` */
export const statusCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('status')
      .description('is the broker ready, and what do its loops do')
      .option('--all', 'also loops of topics, groups and sessions that never failed')
      .addHelpText('after', '\nExit code 0 when commands are taken, 5 while they are refused.'),
    async ({ client, show }, _, { all }: { readonly all?: boolean }) => {
      const url = all === true ? '/readyz?all=true' : '/readyz'
      const status = await client.getDespite<Readiness>(url, NOT_READY)
      show(status, () => statusLines(client.url, status))
      if (!status.ready) world.exit(exitCodes.tryAgain)
    },
  )

const statusLines = (url: string, status: Readiness): string[] => {
  const { ready, refusal, loops = [], quietLoops = 0 } = status
  return [
    ready ? `the broker at ${url} is ready` : `the broker at ${url} REFUSES: ${refusal}`,
    '',
    ...table(
      ['LOOP', 'STATE', 'RESTARTS', 'NEXT', 'LAST ERROR'],
      loops.map(({ address, state, restarts, nextTryInMs, lastError }) => [
        ...[address, state, restarts],
        nextTryInMs === undefined ? undefined : `in ${durationText(nextTryInMs)}`,
        lastError,
      ]),
    ),
    ...(quietLoops > 0 ? ['', `and ${quietLoops} more that never failed (--all)`] : []),
  ]
}
