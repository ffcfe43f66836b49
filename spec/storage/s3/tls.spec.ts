import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../index.ts'
import { selfSignedCertificate } from '../../../protocols/tls/self-signed.ts'
import { radosgwMissing } from '../../support/radosgw.ts'

const LIMIT_MS = 150_000

const Tls = suite('S3 over TLS')

Tls('is held to its contract by a process that trusts the certificate', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-tls-'))
  const names = ['localhost', '127.0.0.1']
  const { cert, key } = await selfSignedCertificate({ names }, systemClock)
  const pem = join(folder, 'both.pem')
  await writeFile(pem, `${key}\n${cert}`)
  const missing = await radosgwMissing()
  if (missing !== undefined)
    console.log(`SKIPPED: S3 of a real server over TLS; it takes ${missing}`)
  const server = missing === undefined ? ['radosgw'] : []
  const parameters = ['-C', 'development', '--import', 'tsx', 'spec/storage/s3/support/over-tls.ts']
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...parameters, pem, ...server],
      { timeout: LIMIT_MS, env: { ...process.env, NODE_EXTRA_CA_CERTS: pem } },
    )
    assert.match(stdout, /Passed: +[1-9]/)
  } finally {
    await rm(folder, { recursive: true })
  }
})

Tls.run()
