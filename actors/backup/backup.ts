import type { BackupHeader } from '../../model/backup.ts'
import { backupParts } from '../../storage/log/backup-stream.ts'
import type { CoreBroker } from '../broker/broker.ts'

/**
 * The whole log at one position, as a stream of bytes (docs/formats/backup.md). What was
 * acknowledged before the first part was asked for is in it. While it is read, sends, acks,
 * trims and reclaims go on; what they give back keeps its space until the stream has ended or
 * was left.
 */
export async function* backup(
  { log, state, components, readers }: CoreBroker,
  { writtenBy }: { readonly writtenBy: string },
): AsyncGenerator<Uint8Array> {
  await log.flush()
  // One turn: a stretch is named as a gap before its chunks go.
  const snapshot = log.chunks.snapshot()
  const gaps = [...state.space.gaps]
  const reader = { readsIndex: false }
  readers.add(reader)
  try {
    const { offset: position } = await snapshot.chunks.tail()
    const header: BackupHeader = {
      backup: 1,
      writtenBy,
      takenAtMs: Math.floor(components.clock.wallMs()),
      position,
      bytes: position - lengthOf(gaps),
      gaps,
    }
    yield* backupParts(snapshot.chunks, header)
  } finally {
    await snapshot.close()
    readers.delete(reader)
  }
}

const lengthOf = (gaps: readonly number[]): number =>
  gaps.reduce((sum, border, index) => sum + (index % 2 === 0 ? -border : border), 0)
