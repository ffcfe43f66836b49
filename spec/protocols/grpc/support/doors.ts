import { openGrpcDoor, type GrpcDoorOptions } from '../../../../protocols/grpc/server.ts'
import { seededRandom } from '../../../support/random.ts'
import { realClock, recordingLogger } from './calls.ts'
import { FakeBroker } from './fake-broker.ts'

export { eventually, sleep } from '../../../support/waiting.ts'

/** A real door on a free port, in front of a fake broker, in real time. */
export const openDoor = async (
  options: Partial<GrpcDoorOptions> = {},
  { autoCreate = true } = {},
) => {
  const broker = new FakeBroker(realClock, { autoCreate })
  const logger = recordingLogger()
  const components = { clock: realClock, logger, random: seededRandom(1) }
  const door = await openGrpcDoor(broker, components, {
    host: '127.0.0.1',
    port: 0,
    brokerName: 'glasspost',
    ...options,
  })
  return { door, broker, logger, endpoint: `127.0.0.1:${door.address.port}` }
}
