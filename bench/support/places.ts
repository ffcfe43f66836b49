import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** On which file system the rows write: `GLASSPOST_BENCH_DIR`, or the directory for temporary files. */
export const benchRoot = process.env['GLASSPOST_BENCH_DIR'] ?? tmpdir()

/** Runs work with a new directory and removes it afterwards. */
export const withDirectory = async <T>(work: (directory: string) => Promise<T>): Promise<T> => {
  const directory = await mkdtemp(join(benchRoot, 'glasspost-bench-'))
  try {
    return await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const POOL_BYTES = 16 << 20

/** Slices of random bytes, which no store can compress; the same `size` each time. */
export const randomSlices = (size: number): ((index: number) => Buffer) => {
  const pool = randomBytes(POOL_BYTES)
  const count = Math.floor(POOL_BYTES / size)
  return (index) => pool.subarray((index % count) * size, ((index % count) + 1) * size)
}
