import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { aCertificate } from '../support/certificates.ts'
import { eventually } from '../support/waiting.ts'
import { RawClient } from '../protocols/grpc/support/raw-client.ts'
import { sendRequest } from '../protocols/grpc/support/requests.ts'
import { startBroker } from './support/broker-process.ts'
import { built } from './support/built.ts'

const Operator = suite<{ folder: string }>('glasspost, in the hands of an operator')

const STOPPED = { code: 0, signal: null }
const UNAUTHORIZED = 40100

Operator.before(built)
Operator.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-operator-'))
})
Operator.after.each(({ folder }) => rm(folder, { recursive: true, force: true }))

/** The fingerprint of the certificate that is shown at `host:port`. */
const shownAt = (address: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const [host, port] = address.split(':')
    const options = { host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] }
    const socket = connect(options, () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
    socket.on('error', reject)
  })

const fingerprintOf = (cert: string): string => new X509Certificate(cert).fingerprint256

Operator('is started from a file, and takes a new certificate at SIGHUP', async ({ folder }) => {
  const [first, second] = [await aCertificate(), await aCertificate()]
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
  await writeFile(files.certFile, first.cert)
  await writeFile(files.keyFile, first.key)
  const config = join(folder, 'glasspost.json')
  await writeFile(config, JSON.stringify({ tls: files, reloadMs: 0, log: { level: 'info' } }))
  const flags = ['--config', config]
  const broker = await startBroker({ dataDir: join(folder, 'data'), flags })
  assert.is(await shownAt(broker.grpc), fingerprintOf(first.cert))
  await writeFile(files.certFile, second.cert)
  broker.child.kill('SIGHUP')
  await eventually('it refused half of a pair', () => broker.stderr().includes('another one'))
  assert.is(await shownAt(broker.grpc), fingerprintOf(first.cert))
  await writeFile(files.keyFile, second.key)
  broker.child.kill('SIGHUP')
  const isSecond = async () => (await shownAt(broker.grpc)) === fingerprintOf(second.cert)
  await eventually('it shows the new one', isSecond)
  assert.equal(await broker.end('SIGTERM'), STOPPED)
})

Operator('keeps the certificate that it made for itself', async ({ folder }) => {
  const dataDir = join(folder, 'data')
  const first = await startBroker({ dataDir })
  const fingerprint = await shownAt(first.grpc)
  assert.equal(await first.end('SIGTERM'), STOPPED)
  assert.is((await stat(join(dataDir, 'tls', 'key.pem'))).mode & 0o777, 0o600)
  const second = await startBroker({ dataDir })
  assert.is(await shownAt(second.grpc), fingerprint)
  assert.equal(await second.end('SIGTERM'), STOPPED)
})

Operator('asks for keys, notices new accounts, and tells no secret', async ({ folder }) => {
  const secretKey = 'a secret of many letters'
  const accountsFile = join(folder, 'accounts.json')
  const accountsOf = (accessKey: string) =>
    JSON.stringify({ accounts: [{ accessKey, secretKey, topics: { '*': ['publish'] } }] })
  await writeFile(accountsFile, accountsOf('first'))
  const adminToken = 'a token of many letters'
  const flags = [
    ...['--accounts-file', accountsFile, '--reload-ms', '100', '--log-level', 'debug'],
    ...['--host', '0.0.0.0', '--http-admin-token', adminToken],
  ]
  const broker = await startBroker({ dataDir: join(folder, 'data'), flags })
  const port = broker.grpc.replace(/.*:/, '')
  const client = new RawClient(`127.0.0.1:${port}`)
  const { code } = await client.status('SendMessage', sendRequest('orders', 'x'))
  assert.is(code, UNAUTHORIZED)
  client.close()
  await writeFile(accountsFile, accountsOf('second'))
  await eventually('it reloaded', () => broker.stderr().includes('"reloaded"'))
  await writeFile(accountsFile, `{"accounts":[{"secretKey":"${secretKey}"`)
  await eventually('it refused them', () => broker.stderr().includes('could not reload'))
  assert.equal(await broker.end('SIGTERM'), STOPPED)
  const lines = broker.stderr().trim().split('\n')
  const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
  for (const message of ['started', 'a call was refused', 'reloaded', 'stopping'])
    assert.ok(messages.includes(message), message)
  const told = broker.stderr() + broker.stdout()
  for (const secret of [secretKey, adminToken]) assert.not.ok(told.includes(secret))
})

Operator.run()
