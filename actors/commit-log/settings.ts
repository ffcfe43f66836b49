import type { Backoff } from '../../machines/backoff.ts'
import type { AdmissionLimits } from './admission.ts'

export interface CommitLogSettings extends AdmissionLimits {
  /** A write that takes longer counts as failed; the handle is dead then. */
  readonly writeTimeoutMs: number
  /** How long a send whose write failed may wait for the tail to say what happened. */
  readonly outcomeDeadlineMs: number
  /** Buffered facts wait this long for company when nothing else is written. */
  readonly bufferedLingerMs: number
  /** Acknowledgements that find no room wait for it, so long and so many. */
  readonly roomWaitMs: number
  readonly roomWaitersMax: number
  readonly cacheBytes: number
  readonly backoff: Backoff
}

export const commitLogDefaults: CommitLogSettings = {
  bytesMax: 64 << 20,
  chunkBytes: 64 << 10,
  slabBytes: 1 << 20,
  commitChunksMax: 8,
  writeTimeoutMs: 30_000,
  outcomeDeadlineMs: 10_000,
  bufferedLingerMs: 10,
  roomWaitMs: 2_000,
  roomWaitersMax: 10_000,
  cacheBytes: 64 << 20,
  backoff: { msBase: 50, msMax: 5_000 },
}
