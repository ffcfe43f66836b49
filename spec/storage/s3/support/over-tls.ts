import { readFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock, systemRandom } from '../../../../index.ts'
import { isBrokerError } from '../../../../model/errors.ts'
import { Payload } from '../../../../storage/s3/payload.ts'
import { S3Wire } from '../../../../storage/s3/s3-wire.ts'
import { probeObjectStore } from '../../../../storage/tier/probe-object-store.ts'
import { objectStoreContract } from '../../../contracts/object-store.contract.ts'
import { aCertificate } from '../../../support/certificates.ts'
import { startRadosgw } from '../../../support/radosgw.ts'
import { openS3Server, S3_BUCKET } from '../../../support/s3-server.ts'
import { s3StoreOn } from '../../../support/s3-store.ts'

/**
 * Run by `tls.spec.ts` in a process of its own, which trusts the certificate: Node looks at
 * NODE_EXTRA_CA_CERTS when it starts, and never again.
 */
const MIB = 1024 * 1024
const pages = { pageKeys: 100, singleBytesMax: 6 * MIB, partBytes: 5 * MIB }
const [pemFile = '', realServer] = process.argv.slice(2)
const pem = await readFile(pemFile, 'utf8')
const server = await openS3Server({ tls: { cert: pem, key: pem } })

objectStoreContract('S3, over TLS', async () => {
  server.objects.clear()
  return {
    openStore: async (options: object) => s3StoreOn(server, { ...pages, ...options }),
    discard: async () => {},
  }
})

const Tls = suite('S3 over TLS')

Tls('bodies are not signed, and their MD5 is sent', async () => {
  const store = s3StoreOn(server)
  await store.put('kept', [Buffer.from('what is kept')], { ifAbsent: true })
  assert.is(server.lastSigned, 'UNSIGNED-PAYLOAD')
  const range = { from: 5, to: 7 }
  assert.is((await store.get('kept', { range })).toString(), 'is')
  await store.close()
})

Tls('a body that its MD5 does not belong to is refused, and not kept', async () => {
  const options = { onRequest: undefined, timeoutMs: 10_000, connectionsMax: 1 }
  const wire = new S3Wire({ clock: systemClock, ...options })
  const [body, other] = [new Payload([Buffer.from('sent')]), new Payload([Buffer.from('said')])]
  await other.hash(systemClock, { withSha256: false })
  const { hostname, port } = new URL(server.endpoint)
  const headers = {
    ...{ 'content-length': '4', 'content-md5': other.hashes?.md5 ?? '' },
    ...{ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', authorization: 'spec' },
  }
  const asked = { protocol: 'https:', hostname, port: Number(port), method: 'PUT', query: {} }
  const { response } = await wire.handle(
    { ...asked, path: `/${S3_BUCKET}/broken`, headers, body },
    { kind: 'put', key: 'broken', abortSignal: new AbortController().signal },
  )
  assert.is(response.statusCode, 400)
  assert.not(server.objects.has('broken'))
  wire.destroy()
})

Tls('a server whose certificate is not trusted gets nothing', async () => {
  const stranger = await openS3Server({ tls: await aCertificate({ name: 'stranger' }) })
  const store = s3StoreOn(stranger, { attemptsMax: 1 })
  try {
    const put = store.put('secret', [Buffer.from('secret')], { ifAbsent: true })
    const error: unknown = await put.catch((cause: unknown) => cause)
    assert.ok(isBrokerError(error, 'TIER_UNAVAILABLE'), String(error))
    assert.is(stranger.requests, 0)
  } finally {
    await store.close()
    await stranger.close()
  }
})

if (realServer === 'radosgw')
  Tls('a real server takes bodies that are not signed', async () => {
    const gateway = await startRadosgw({ tls: pemFile })
    try {
      const store = s3StoreOn(gateway, { ...pages, credentials: gateway.credentials })
      await probeObjectStore(store, { random: systemRandom, namespace: '0123456789abcdef' })
      const content = Buffer.from(systemRandom.bytes(7 * MIB))
      for (const ifAbsent of [true, false]) {
        await store.put(`whole-${ifAbsent}`, [content], { ifAbsent })
        assert.ok((await store.get(`whole-${ifAbsent}`)).equals(content))
      }
      const listed = []
      for await (const { key } of store.list('')) listed.push(key)
      assert.equal(listed, ['whole-false', 'whole-true'])
      await store.remove(listed)
      assert.is(await store.head('whole-true'), undefined)
      await store.close()
    } finally {
      await gateway.close()
    }
  })

Tls.after(() => server.close())
Tls.run()
