import { DirectoryObjectStore } from '../../storage/directory/directory-object-store.ts'
import { systemClock, systemRandom } from '../../index.ts'

/**
 * Puts objects into a directory until it is told enough, and says so after each: for specs that
 * watch from outside what the disk is asked to do.
 */
const [directory = '', count = '1', size = '10'] = process.argv.slice(2)
const parts = { clock: systemClock, random: systemRandom }
const store = await DirectoryObjectStore.open({ ...parts, directory })
for (let index = 0; index < Number(count); index++)
  for (const ifAbsent of [true, false]) {
    const key = `topic-${index}/${ifAbsent ? 'once' : 'again'}`
    const outcome = await store.put(key, [Buffer.alloc(Number(size), index)], { ifAbsent }).then(
      () => 'put',
      (error: unknown) => (error instanceof Error ? error.message : 'failed'),
    )
    process.stdout.write(`${key} ${outcome}\n`)
  }
await store.close()
