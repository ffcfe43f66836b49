import type { BackupHeader, BackupStep, OnProgress } from '../../model/backup.ts'
import { BrokerError } from '../../model/errors.ts'
import { chunkKey } from '../codec/chunk.ts'
import type { Database, Operation } from '../ports/database.ts'

const BATCH_BYTES = 4 << 20

/** Fills an empty database with a backup's chunks; synced when it resolves. */
export const restoreLog = async (
  steps: AsyncIterable<BackupStep>,
  database: Database,
  onProgress: OnProgress = () => {},
): Promise<BackupHeader> => {
  let header: BackupHeader | undefined
  let batch: Operation[] = []
  let waiting = 0
  let done = 0
  const write = async (sync: boolean): Promise<void> => {
    await database.write(batch, { sync })
    done += waiting
    batch = []
    waiting = 0
    if (header) onProgress({ done, of: header.bytes })
  }
  for await (const step of steps)
    if (step.type === 'header') header = step.header
    else if (step.type === 'chunk') {
      batch.push({ type: 'put', key: chunkKey(step.offset), value: step.bytes })
      waiting += step.bytes.length
      if (waiting >= BATCH_BYTES) await write(false)
    }
  await write(true)
  if (header === undefined)
    throw new BrokerError('BACKUP_UNUSABLE', { path: 'the backup', reason: 'it is empty' })
  return header
}
