import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BrokerError } from '../../model/errors.ts'
import type { Random } from '../../model/ports.ts'
import { databaseNames } from '../ports/place.ts'
import { causeWithCode } from './level-errors.ts'
import { writeAtomically } from '../files/durable-files.ts'

const FORMAT = 1
export const FORMAT_FILE = 'format.json'
/** In it a restore is under way, or was cut short. */
export const RESTORING_DIRECTORY = 'restoring'
const SECRET_FILE = 'secret'
const SECRET_BYTES = 32
/** The lock's directory. */
export const LOCK_DIRECTORY = 'lock'
/** What a creation that was cut short leaves, and what a new file system begins with. */
const fromCreation: ReadonlySet<string> = new Set([
  ...[LOCK_DIRECTORY, SECRET_FILE, `${SECRET_FILE}.new`, `${FORMAT_FILE}.new`, 'lost+found'],
])

/**
 * Whether the directory is still without data. Throws `DATA_FORMAT_UNKNOWN` for data that this
 * version did not write, `DATA_DIR_FOREIGN` for what is no data at all, and changes nothing.
 */
export const isNewDataDir = async (dataDir: string): Promise<boolean> => {
  const text = await readIfThere(join(dataDir, FORMAT_FILE))
  if (text !== undefined) {
    assertKnown(dataDir, text.toString())
    return false
  }
  if (await isThere(join(dataDir, RESTORING_DIRECTORY)))
    throw unknown(dataDir, 'unknown (a restore into it was not finished)')
  const kept = await Promise.all(databaseNames.map((name) => isThere(join(dataDir, name))))
  if (kept.includes(true)) throw unknown(dataDir, `unknown (${FORMAT_FILE} is missing)`)
  const foreign = (await readdir(dataDir)).filter((name) => !fromCreation.has(name)).sort()
  if (foreign.length > 0) throw new BrokerError('DATA_DIR_FOREIGN', { dataDir, found: foreign })
  return true
}

/** The format is written last: it says that everything else is there. */
export const createData = async (
  dataDir: string,
  { random, createdBy }: { random: Random; createdBy: string },
): Promise<void> => {
  const format = { format: FORMAT, writtenBy: `glasspost ${createdBy}` }
  await writeAtomically(join(dataDir, SECRET_FILE), random.bytes(SECRET_BYTES), { mode: 0o600 })
  await writeAtomically(join(dataDir, FORMAT_FILE), `${JSON.stringify(format)}\n`, { mode: 0o644 })
}

export const readSecret = async (dataDir: string): Promise<Uint8Array> => {
  const secret = await readIfThere(join(dataDir, SECRET_FILE))
  // A new one would make every handle that was given out a forgery, so it is not made up.
  if (secret?.length !== SECRET_BYTES) throw unknown(dataDir, `${FORMAT} but without its secret`)
  return secret
}

const assertKnown = (dataDir: string, text: string): void => {
  const found = formatIn(text)
  if (found !== FORMAT)
    throw unknown(dataDir, found === undefined ? 'unreadable' : JSON.stringify(found))
}

const formatIn = (text: string): unknown => {
  try {
    const content: unknown = JSON.parse(text)
    return content instanceof Object && 'format' in content ? content.format : undefined
  } catch {
    return undefined
  }
}

const unknown = (dataDir: string, found: string): BrokerError =>
  new BrokerError('DATA_FORMAT_UNKNOWN', { dataDir, found, known: String(FORMAT) })

const readIfThere = async (path: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(path)
  } catch (error) {
    if (causeWithCode(error, 'ENOENT')) return undefined
    throw error
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
