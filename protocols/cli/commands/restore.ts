import { resolve } from 'node:path'
import { Command } from 'commander'
import { sizeText } from '../admin/units.ts'
import { fail } from '../failure.ts'
import { progressBar } from '../progress.ts'
import type { World } from '../world.ts'

/** `glasspost restore DIR` */
export const restoreCommand = (world: World): Command =>
  new Command('restore')
    .description('make a data directory of a backup')
    .argument('<dir>', 'what glasspost backup wrote')
    .option('--data-dir <dir>', 'new or empty: where the broker will be', 'glasspost-data')
    .option('--json', 'print the answer as JSON')
    .addHelpText(
      'after',
      '\nEvery chunk is checked; a backup that is damaged or not whole is refused, and nothing is' +
        '\nleft behind. Topics, groups, offsets and acknowledgements are as they were when it was' +
        '\ntaken. Receipt handles from before are refused: their messages come again.',
    )
    .action(async (backup: string, flags: { dataDir: string }, self: Command) => {
      const { json: isJson = false } = self.optsWithGlobals<{ json?: boolean }>()
      const dataDir = resolve(flags.dataDir)
      const bar = progressBar('restoring')
      try {
        const { bytes, position, takenAtMs } = await world
          .restoreBackup({ backup, dataDir, onProgress: bar.update })
          .finally(bar.stop)
        if (isJson) world.print(JSON.stringify({ dataDir, bytes, position, takenAtMs }))
        else
          for (const line of [
            `restored ${sizeText(bytes)}, all up to position ${position}, into ${dataDir}`,
            `  Start on it: glasspost start --data-dir ${dataDir}`,
          ])
            world.print(line)
      } catch (error) {
        fail(world, { isJson })(error)
      }
    })
