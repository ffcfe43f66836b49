import { suite } from 'uvu'
import { radosgwMissing } from '../support/radosgw.ts'
import { openRadosgwThroughFaults } from './support/radosgw-through-faults.ts'
import { runUnderFaults } from './support/tier-under-faults.ts'

const missing = await radosgwMissing()

const Gateway = suite('a tier on radosgw, through faults and an outage')

Gateway('loses nothing, keeps no buffer and leaves no orphan', async () => {
  if (missing === undefined) await runUnderFaults(openRadosgwThroughFaults)
  else console.log(`SKIPPED: a broker on a real S3 server; it takes ${missing}`)
})

Gateway.run()
