import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemRandom } from '../../../index.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { probeObjectStore } from '../../../storage/tier/probe-object-store.ts'
import { objectStoreContract } from '../../contracts/object-store.contract.ts'
import { openFaultProxy } from '../../support/fault-proxy.ts'
import { radosgwMissing, startRadosgw } from '../../support/radosgw.ts'
import { seededRandom } from '../../support/random.ts'
import { passingFaults } from '../../support/s3-faults.ts'
import { s3StoreOn } from '../../support/s3-store.ts'

const MIB = 1024 * 1024
const pages = { pageKeys: 100, singleBytesMax: 6 * MIB, partBytes: 5 * MIB }

const missing = await radosgwMissing()
const gateway = missing === undefined ? await startRadosgw() : undefined
let settings = 0

const Gateway = suite('S3 of radosgw')

if (gateway === undefined) {
  Gateway('is not looked at where there is none', () => {
    console.log(`SKIPPED: S3 of a real server; it takes ${missing}`)
  })
} else {
  objectStoreContract('S3, radosgw', async () => {
    const prefix = `setting-${settings++}`
    return {
      openStore: async (options: object) =>
        s3StoreOn(gateway, { ...gateway, ...pages, ...options, prefix }),
      discard: async () => {},
    }
  })

  Gateway('is fit to be a tier, and back after an outage with all that it had', async () => {
    const store = s3StoreOn(gateway, { ...gateway, prefix: 'outage', attemptsMax: 1 })
    await probeObjectStore(store, { random: systemRandom, namespace: '0123456789abcdef' })
    await store.put('kept', [Buffer.from('kept')], { ifAbsent: true })
    await gateway.stop()
    const error: unknown = await store.get('kept').catch((cause: unknown) => cause)
    assert.ok(isBrokerError(error, 'TIER_UNAVAILABLE'))
    await gateway.start()
    assert.is((await store.get('kept')).toString(), 'kept')
    await store.close()
  })

  Gateway('keeps what was put through faults, and nothing by halves', async () => {
    const draw = { random: seededRandom(1), rate: 0.3, among: passingFaults }
    const proxy = await openFaultProxy(gateway.endpoint, draw)
    const { credentials } = gateway
    const store = s3StoreOn(proxy, { credentials, prefix: 'faults', attemptsMax: 2 })
    const insist = async <T>(work: () => Promise<T>): Promise<T | 'exists'> => {
      for (;;)
        try {
          return await work()
        } catch (error) {
          if (isBrokerError(error, 'TIER_OBJECT_EXISTS')) return 'exists'
          if (!isBrokerError(error, 'TIER_UNAVAILABLE')) throw error
        }
    }
    const contents = Array.from({ length: 20 }, (_, index) => systemRandom.bytes(index * 10_007))
    for (const [index, content] of contents.entries())
      await insist(() => store.put(`object-${index}`, [content], { ifAbsent: true }))
    for (const [index, content] of contents.entries()) {
      const range = { from: 0, to: content.length }
      const read = await insist(() => store.get(`object-${index}`, { range }))
      assert.ok(Buffer.from(content).equals(read as Buffer), `object ${index}`)
    }
    for (const fault of passingFaults) assert.ok(proxy.faults.struck.has(fault), fault)
    await store.close()
    await proxy.close()
  })

  Gateway.after(() => gateway.close())
}

Gateway.run()
