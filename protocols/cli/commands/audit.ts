import { Command } from 'commander'
import type { AuditReport } from '../../../model/ports.ts'
import type { TierResidue } from '../../../model/tier/tier-admin.ts'
import { adminAction } from '../admin/action.ts'
import type { AdminClient } from '../admin/client.ts'
import { table } from '../admin/table.ts'
import { residueLines } from '../admin/tier-lines.ts'
import { sizeText, timeText } from '../admin/units.ts'
import { exitCodes } from '../exit-codes.ts'
import type { World } from '../world.ts'

/** `glasspost audit` */
export const auditCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('audit')
      .description('ask of everything that is stored who owns it')
      .option('--tier', 'also of every object in the tier, which lists all of it')
      .addHelpText(
        'after',
        '\nReads every key once. Exit code 0 when everything has a living owner, 1 when not.' +
          '\nExample: glasspost audit --json | jq .residue',
      ),
    async ({ client, show }, _, flags: { readonly tier?: boolean }) => {
      const report = await client.get<AuditReport>('/v1/audit')
      const tier = flags.tier === true ? await residueOf(client) : undefined
      show(tier === undefined ? report : { ...report, tier }, () => [
        ...reportLines(report),
        ...(tier === undefined ? [] : ['', ...residueLines(tier)]),
      ])
      if (!report.clean || (tier ?? []).length > 0) world.exit(exitCodes.failed)
    },
  )

const residueOf = async (client: AdminClient): Promise<readonly TierResidue[]> => {
  const { objects } = await client.get<{ objects: readonly TierResidue[] }>('/v1/tier/residue')
  return objects
}

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
