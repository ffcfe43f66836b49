import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BrokerError } from '../../model/errors.ts'
import { hasCode } from './disk-errors.ts'
import {
  DirectoryObjectStore,
  type DirectoryObjectStoreOptions,
  DRAFTS,
} from './directory-object-store.ts'

export interface SavedObject {
  readonly key: string
  readonly content: Uint8Array
}

/**
 * Writes objects into a new or empty directory, each at its own name, so that the directory is a
 * store itself. Rejects with `TARGET_NOT_EMPTY`; a failure in the middle leaves it empty again.
 */
export const saveObjects = async (
  options: DirectoryObjectStoreOptions,
  objects: AsyncIterable<SavedObject>,
): Promise<void> => {
  const { directory } = options
  await expectEmpty(directory)
  const store = await DirectoryObjectStore.open(options)
  const keys: string[] = []
  try {
    for await (const { key, content } of objects) {
      keys.push(key)
      await store.put(key, [content], { ifAbsent: true })
    }
  } catch (error) {
    await store.remove(keys)
    throw error
  } finally {
    await store.close()
    await rm(join(directory, DRAFTS), { recursive: true, force: true })
  }
}

const expectEmpty = async (directory: string): Promise<void> => {
  const found = await readdir(directory).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    if (hasCode(error, 'ENOTDIR')) return ['itself']
    throw error
  })
  if (found.length > 0) throw new BrokerError('TARGET_NOT_EMPTY', { path: directory })
}
