import { definition } from '../../protocols/grpc/support/official.ts'
import { startProducer } from '../../support/clients.ts'

/**
 * A process of its own: the official client sends a half message, says so, and waits for its end
 * between the two phases. Its own checker would roll back, but it is never asked.
 */
const [, , endpoint = '', topic = '', body = ''] = process.argv
const producer = await startProducer(endpoint, {
  topics: [topic],
  checker: { check: async () => definition.TransactionResolution.ROLLBACK },
})
await producer.send({ topic, body: Buffer.from(body) }, producer.beginTransaction())
process.stdout.write('prepared\n')
