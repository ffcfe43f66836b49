import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Place } from '../ports/place.ts'
import { assertEmpty } from './backup-file.ts'
import { FORMAT_FILE, RESTORING_DIRECTORY } from './data-format.ts'
import { createDirectory, syncDirectory } from '../files/durable-files.ts'
import { attempt } from './level-errors.ts'
import { LevelPlace, type LevelPlaceOptions } from './level-place.ts'

/**
 * Makes a data directory and lets `work` fill it. It becomes one when the work has ended well:
 * before that it is refused by every start, and after a failure it is empty again.
 */
export const createDataDir = <Result>(
  options: LevelPlaceOptions,
  work: (place: Place) => Promise<Result>,
): Promise<Result> => {
  const { dataDir } = options
  return attempt({ store: dataDir, operation: 'be restored' }, async () => {
    await assertEmpty(dataDir)
    const draft = join(dataDir, RESTORING_DIRECTORY)
    await createDirectory(draft)
    try {
      const result = await withPlace({ ...options, dataDir: draft }, work)
      // The format says that everything else is there.
      const names = (await readdir(draft)).filter((name) => name !== FORMAT_FILE)
      for (const name of names) await rename(join(draft, name), join(dataDir, name))
      await syncDirectory(dataDir)
      await rename(join(draft, FORMAT_FILE), join(dataDir, FORMAT_FILE))
      await rm(draft, { recursive: true })
      await syncDirectory(dataDir)
      return result
    } catch (error) {
      await rm(draft, { recursive: true, force: true })
      throw error
    }
  })
}

const withPlace = async <Result>(
  options: LevelPlaceOptions,
  work: (place: Place) => Promise<Result>,
): Promise<Result> => {
  const place = await LevelPlace.open(options)
  try {
    return await work(place)
  } finally {
    await place.close()
  }
}
