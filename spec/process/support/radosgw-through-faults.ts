import { openFaultProxy } from '../../support/fault-proxy.ts'
import { startRadosgw } from '../../support/radosgw.ts'
import type { FaultDraw } from '../../support/s3-faults.ts'
import type { FaultyServer } from './tier-under-faults.ts'

/** A real gateway behind faults, which can be ended and started again. */
export const openRadosgwThroughFaults = async (draw: FaultDraw): Promise<FaultyServer> => {
  const gateway = await startRadosgw()
  const proxy = await openFaultProxy(gateway.endpoint, draw)
  return {
    ...{ endpoint: proxy.endpoint, credentials: gateway.credentials, faults: proxy.faults },
    get requests() {
      return proxy.requests
    },
    stop: () => gateway.stop(),
    start: () => gateway.start(),
    close: async () => {
      await proxy.close()
      await gateway.close()
    },
  }
}
