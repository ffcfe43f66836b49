import { suite } from 'uvu'
import { openS3Server, S3_CREDENTIALS } from '../support/s3-server.ts'
import { openRadosgwThroughFaults } from './support/radosgw-through-faults.ts'
import { type FaultyServer, runUnderFaults } from './support/tier-under-faults.ts'
import type { FaultDraw } from '../support/s3-faults.ts'

const openServerHere = async (faults: FaultDraw): Promise<FaultyServer> =>
  Object.assign(await openS3Server({ faults }), { credentials: S3_CREDENTIALS })

/** `npm run tier-faults` for the long run; with `TIER_SERVER=radosgw` on a real server. */
const openServer =
  process.env['TIER_SERVER'] === 'radosgw' ? openRadosgwThroughFaults : openServerHere

const Faults = suite('a tier of which three requests in ten fail')

Faults('loses nothing, keeps no buffer and leaves no orphan', () => runUnderFaults(openServer))

Faults.run()
