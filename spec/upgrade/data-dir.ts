import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { Content } from './content.ts'

/** A data directory as it was found after its writer ended, and what was in it. */
export interface KeptDataDir {
  readonly name: string
  /** The wall clock when it was written last. */
  readonly wallMs: number
  readonly content: Content
  /** By path: gzip, base64. */
  readonly files: Readonly<Record<string, string>>
}

/** What one released version wrote: one file in `spec/fixtures`. */
export interface Release {
  readonly writtenBy: string
  readonly dirs: readonly KeptDataDir[]
}

/** Of no use to anybody else: the lock is its holder's, and the ballast is made anew. */
const isLocal = (path: string): boolean => /^(lock|ballast)|(^|\/)LOG(\.old)?$/.test(path)

export const packed = async (dataDir: string): Promise<Record<string, string>> => {
  const files: Record<string, string> = {}
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    const path = relative(dataDir, join(entry.parentPath, entry.name))
    if (!entry.isFile() || isLocal(path)) continue
    const bytes = await readFile(join(dataDir, path))
    files[path] = gzipSync(bytes, { level: 9 }).toString('base64')
  }
  return files
}

export const unpack = async (files: KeptDataDir['files'], dataDir: string): Promise<void> => {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dataDir, path)), { recursive: true })
    await writeFile(join(dataDir, path), gunzipSync(Buffer.from(text, 'base64')))
  }
}
