import { createReadStream } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackupHeader, BackupStep, OnProgress, WrittenBackup } from '../../model/backup.ts'
import { BrokerError } from '../../model/errors.ts'
import { createDirectory, syncDirectory } from '../files/durable-files.ts'
import { attempt, causeWithCode } from './level-errors.ts'

const BACKUP_FILE = 'glasspost.backup'
const READ_BYTES = 1 << 20

/** Throws `TARGET_NOT_EMPTY` for a directory with anything in it. */
export const assertEmpty = async (directory: string): Promise<void> => {
  const found = await readdir(directory).catch((error: unknown) => {
    if (causeWithCode(error, 'ENOENT')) return []
    if (causeWithCode(error, 'ENOTDIR')) return ['itself']
    throw error
  })
  if (found.length > 0) throw new BrokerError('TARGET_NOT_EMPTY', { path: directory })
}

/**
 * Writes a backup into a new or empty directory. Its file gets its name when all of it
 * is on disk: what has the name is whole.
 */
export const writeBackup = (
  directory: string,
  steps: AsyncIterable<BackupStep>,
  onProgress: OnProgress = () => {},
): Promise<WrittenBackup> =>
  attempt({ store: directory, operation: 'take the backup' }, async () => {
    await assertEmpty(directory)
    await createDirectory(directory)
    const path = join(directory, BACKUP_FILE)
    const draft = `${path}.partial`
    try {
      let header: BackupHeader
      const file = await open(draft, 'wx', 0o600)
      try {
        header = await writeSteps(file, steps, onProgress)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(draft, path)
      await syncDirectory(directory)
      return { ...header, path }
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
  })

const writeSteps = async (
  file: FileHandle,
  steps: AsyncIterable<BackupStep>,
  onProgress: OnProgress,
): Promise<BackupHeader> => {
  let header: BackupHeader | undefined
  let done = 0
  for await (const step of steps) {
    await file.writeFile(step.bytes)
    if (step.type === 'header') header = step.header
    if (step.type === 'chunk') done += step.bytes.length
    if (header) onProgress({ done, of: header.bytes })
  }
  if (header) return header
  throw new BrokerError('BACKUP_UNUSABLE', { path: 'the backup', reason: 'it is empty' })
}

/** The backup in a directory, or in a file given itself. */
export const findBackup = async (path: string): Promise<string> => {
  const refuse = (reason: string) => new BrokerError('BACKUP_UNUSABLE', { path, reason })
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) throw refuse('it does not exist')
  if (!found.isDirectory()) return path
  const file = join(path, BACKUP_FILE)
  if (await stat(file).catch(() => undefined)) return file
  const isPartial = await stat(`${file}.partial`).catch(() => undefined)
  throw refuse(isPartial ? 'the backup was not finished' : `there is no ${BACKUP_FILE} in it`)
}

export const readParts = (path: string): AsyncIterable<Uint8Array> =>
  createReadStream(path, { highWaterMark: READ_BYTES }) as AsyncIterable<Uint8Array>
