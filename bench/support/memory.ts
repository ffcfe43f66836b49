import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export interface MemoryUse {
  readonly rssBytes: number
  /** JavaScript objects, and buffers that they own. */
  readonly heapBytes: number
}

/** What is held once garbage is gone. */
export const memoryUse = async (): Promise<MemoryUse> => {
  for (let round = 0; round < 3; round++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
  return { rssBytes: rss, heapBytes: heapUsed + arrayBuffers }
}
