import { X509Certificate } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import { readCertificate } from '../../../protocols/tls/certificate.ts'
import { ownNames, selfSignedCertificate } from '../../../protocols/tls/self-signed.ts'
import { aCertificate } from '../../support/certificates.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'

const Certificates = suite<{ folder: string }>('certificates')

Certificates.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-tls-'))
})
Certificates.after.each(({ folder }) => rm(folder, { recursive: true, force: true }))

const DAY_MS = 24 * 3_600_000
const names = ['localhost', '127.0.0.1', 'mq.example.org']

Certificates('are made once, for every name, readable by the owner only', async (context) => {
  const folder = join(context.folder, 'tls')
  const clock = new SimulatedClock()
  const first = await selfSignedCertificate({ folder, names }, clock)
  const second = await selfSignedCertificate({ folder, names }, clock)
  assert.equal([first.isNew, second.isNew], [true, false])
  assert.is(second.cert, first.cert)
  const x509 = new X509Certificate(first.cert)
  assert.is(x509.checkHost('mq.example.org'), 'mq.example.org')
  assert.is(x509.checkIP('127.0.0.1'), '127.0.0.1')
  assert.is(x509.checkHost('other.example.org'), undefined)
  assert.is((await stat(folder)).mode & 0o777, 0o700)
  assert.equal((await readdir(folder)).sort(), ['cert.pem', 'key.pem'])
  for (const file of await readdir(folder))
    assert.is((await stat(join(folder, file))).mode & 0o777, 0o600, file)
})

Certificates('are made anew before they end, and for a new name', async ({ folder }) => {
  const clock = new SimulatedClock()
  const first = await selfSignedCertificate({ folder, names }, clock)
  await clock.advance(790 * DAY_MS)
  const kept = await selfSignedCertificate({ folder, names }, clock)
  await clock.advance(10 * DAY_MS)
  const renewed = await selfSignedCertificate({ folder, names }, clock)
  const named = await selfSignedCertificate({ folder, names: [...names, 'second.org'] }, clock)
  assert.equal(
    [first, kept, renewed, named].map(({ isNew }) => isNew),
    [true, false, true, true],
  )
})

Certificates(
  'are made anew when a crash left half of one, with the mode mended',
  async ({ folder }) => {
    const clock = new SimulatedClock()
    const first = await selfSignedCertificate({ folder, names }, clock)
    await writeFile(join(folder, 'key.pem'), (await aCertificate()).key)
    await chmod(join(folder, 'key.pem'), 0o644)
    const second = await selfSignedCertificate({ folder, names }, clock)
    assert.is(second.isNew, true)
    assert.is.not(second.cert, first.cert)
    assert.is((await stat(join(folder, 'key.pem'))).mode & 0o777, 0o600)
    assert.is(await readFile(join(folder, 'key.pem'), 'utf8'), second.key)
  },
)

Certificates('have the names by which we are reached, each once', () => {
  assert.equal(ownNames(['[::1]', '0.0.0.0', undefined, 'mq', 'mq', '::']), [
    'localhost',
    '127.0.0.1',
    '::1',
    'mq',
  ])
})

for (const [what, spoil, says] of [
  ['no certificate', { cert: 'no PEM' }, 'cert.pem cannot be used: it holds no PEM certificate'],
  ['no key', { key: 'no PEM' }, 'key.pem cannot be used: it holds no unencrypted PEM key'],
  ["another's key", 'other', 'is another one'],
  ['an end that is past', 'ended', 'it was valid until'],
] as const)
  Certificates(`are refused with ${what}`, async ({ folder }) => {
    const good = await aCertificate()
    const spoilt =
      spoil === 'other'
        ? { ...good, key: (await aCertificate()).key }
        : { ...good, ...(spoil === 'ended' ? {} : spoil) }
    const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
    await writeFile(files.certFile, spoilt.cert)
    await writeFile(files.keyFile, spoilt.key)
    const nowMs = Date.now() + (spoil === 'ended' ? 31 * DAY_MS : 0)
    const error = await readCertificate(files, nowMs).catch((thrown: unknown) => thrown)
    assert.ok(isBrokerError(error, 'CERTIFICATE_ILLEGAL'), String(error))
    assert.ok(String(error).includes(says), String(error))
  })

Certificates.run()
