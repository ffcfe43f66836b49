import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, systemRandom } from '../../index.ts'
import { DirectoryObjectStore } from '../../storage/directory/directory-object-store.ts'
import { type MemoryObject, MemoryObjectStore } from '../../storage/memory/memory-object-store.ts'
import { objectStoreContract } from '../contracts/object-store.contract.ts'

const parts = { clock: systemClock, random: systemRandom, pageKeys: 100 }

objectStoreContract('memory', async () => {
  const objects = new Map<string, MemoryObject>()
  return {
    openStore: async (options) => new MemoryObjectStore({ ...parts, ...options, objects }),
    discard: async () => {},
  }
})

objectStoreContract('directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'glasspost-spec-'))
  return {
    openStore: (options) => DirectoryObjectStore.open({ ...parts, ...options, directory }),
    discard: () => rm(directory, { recursive: true, force: true }),
  }
})
