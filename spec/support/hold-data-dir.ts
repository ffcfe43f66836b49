import { LevelPlace } from '../../storage/level/level-place.ts'
import { seededRandom } from './random.ts'

/** A process of its own that holds a data directory until it, or who started it, is killed. */
await LevelPlace.open({ dataDir: process.argv[2] ?? '', random: seededRandom(0) })
process.stdout.write('held\n')
process.stdin.resume().on('end', () => process.exit())
