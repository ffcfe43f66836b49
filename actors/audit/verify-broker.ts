import type { VerifyStep } from '../../model/doctor.ts'
import { verify } from '../../storage/verify/verify.ts'
import type { CoreBroker } from '../broker/broker.ts'

/**
 * Reads everything that a running broker has stored, as of one moment, and compares it with
 * itself; the broker goes on. To be read to its end or left.
 */
export async function* verifyBroker(broker: CoreBroker): AsyncGenerator<VerifyStep> {
  const { log, index, readers } = broker
  const reader = { readsIndex: true }
  // Between the steps of an ending or a checkpoint the two would not fit together.
  const taken = await index.exclusive(async () => ({
    log: log.chunks.snapshot(),
    index: index.snapshot(),
  }))
  readers.add(reader)
  try {
    yield* verify({ log: taken.log.source, index: taken.index })
  } finally {
    await taken.log.close()
    await taken.index.close()
    readers.delete(reader)
  }
}
