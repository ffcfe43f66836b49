import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** Puts a file in place whole or not at all, whenever the power goes. */
export const writeAtomically = async (
  path: string,
  content: string | Uint8Array,
  { mode }: { mode: number },
): Promise<void> => {
  const draft = `${path}.new`
  const file = await open(draft, 'w', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
  await syncDirectory(dirname(path))
}

/** A new name is durable only when the directory that holds it is. */
export const syncDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** As `mkdir -p`; the new names are durable. */
export const createDirectory = async (path: string): Promise<void> => {
  const topmost = await mkdir(path, { recursive: true })
  if (topmost === undefined) return
  let created = resolve(path)
  while (created.length >= resolve(topmost).length) {
    created = dirname(created)
    await syncDirectory(created)
  }
}
