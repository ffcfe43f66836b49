import { Command } from 'commander'
import { adminAction } from '../admin/action.ts'
import { sizeText } from '../admin/units.ts'
import { progressBar } from '../progress.ts'
import type { World } from '../world.ts'

/** `glasspost backup DIR` */
export const backupCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('backup')
      .description('copy everything of a running broker into a new or empty directory')
      .argument('<dir>', 'a directory of this machine')
      .addHelpText(
        'after',
        '\nThe broker goes on meanwhile; the backup holds what was acknowledged when it began, and' +
          '\nnothing later. Every chunk is checked on its way. It needs no access to the data' +
          '\ndirectory, and may be taken from another machine.' +
          '\nExample: glasspost backup /backup/monday && glasspost restore /backup/monday --data-dir new',
      ),
    async ({ client, show }, [directory = '']) => {
      const bar = progressBar('backing up')
      const parts = await client.stream('/v1/backup')
      const written = await world.saveBackup(directory, parts, bar.update).finally(bar.stop)
      const { path, bytes, position, takenAtMs } = written
      show({ path, bytes, position, takenAtMs }, () => [
        `backed up ${sizeText(bytes)}, all up to position ${position}, in ${path}`,
      ])
    },
  )
