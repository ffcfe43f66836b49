import type { VerifyStep } from '../../model/doctor.ts'
import { verify } from '../../storage/verify/verify.ts'
import type { CoreBroker } from '../broker/broker.ts'

/**
 * Reads everything that a running broker has stored, as of one moment, and compares it with
 * itself; the broker goes on. To be read to its end or left.
 */
export async function* verifyBroker({ log, index }: CoreBroker): AsyncGenerator<VerifyStep> {
  // Between the steps of an ending or a checkpoint the two would not fit together.
  const taken = await index.exclusive(async () => ({
    log: log.chunks.snapshot(),
    index: index.snapshot(),
  }))
  try {
    yield* verify({ log: taken.log.source, index: taken.index })
  } finally {
    await taken.log.close()
    await taken.index.close()
  }
}
