import { Command } from 'commander'
import type { AuditReport } from '../../../model/ports.ts'
import { adminAction } from '../admin/action.ts'
import { table } from '../admin/table.ts'
import { sizeText, timeText } from '../admin/units.ts'
import { exitCodes } from '../exit-codes.ts'
import type { World } from '../world.ts'

/** `glasspost audit` */
export const auditCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('audit')
      .description('ask of everything that is stored who owns it')
      .addHelpText(
        'after',
        '\nReads every key once. Exit code 0 when everything has a living owner, 1 when not.' +
          '\nExample: glasspost audit --json | jq .residue',
      ),
    async ({ client, show }) => {
      const report = await client.get<AuditReport>('/v1/audit')
      show(report, () => reportLines(report))
      if (!report.clean) world.exit(exitCodes.failed)
    },
  )

const reportLines = ({ clean, residue, awaitingReclaim }: AuditReport): string[] => [
  clean
    ? 'clean: everything that is stored has a living owner'
    : `NOT CLEAN: ${residue.length} without a living owner`,
  ...(clean
    ? []
    : [
        '',
        ...table(
          ['OWNER', 'KIND', 'SIZE', 'WHAT'],
          residue.map(({ owner, kind, bytes, what }) => [owner, kind, sizeText(bytes), what]),
        ),
      ]),
  ...(awaitingReclaim.length === 0
    ? []
    : [
        '',
        'awaiting reclaim: deleted, and sharing parts of the log with the living',
        ...table(
          ['OWNER', 'NAME', 'SIZE', 'GONE BY'],
          awaitingReclaim.map(({ owner, name, bytes, byMs }) => [
            ...[owner, name, sizeText(bytes), timeText(byMs)],
          ]),
        ),
      ]),
]
