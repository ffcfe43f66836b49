import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../index.ts'
import { Payload } from '../../../storage/s3/payload.ts'
import { S3Wire } from '../../../storage/s3/s3-wire.ts'
import { openS3Server, S3_BUCKET } from '../../support/s3-server.ts'

const MIB = 1024 * 1024

const Wire = suite('S3 wire')

Wire('pauses between the slices of a body that it sends', async () => {
  const server = await openS3Server()
  let pauses = 0
  const clock = {
    wallMs: () => systemClock.wallMs(),
    monotonicMs: () => systemClock.monotonicMs(),
    after: (ms: number, task: () => void) => systemClock.after(ms, task),
    soon: (task: () => void) => {
      pauses += 1
      systemClock.soon(task)
    },
  }
  const options = { onRequest: undefined, timeoutMs: 10_000, connectionsMax: 1 }
  const wire = new S3Wire({ clock, ...options })
  const body = new Payload([Buffer.alloc(8 * MIB, 7)])
  const { hostname, port } = new URL(server.endpoint)
  const headers = {
    'content-length': String(body.bytes),
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    authorization: 'spec',
  }
  const asked = { protocol: 'http:', hostname, port: Number(port), method: 'PUT', query: {} }
  const { response } = await wire.handle(
    { ...asked, path: `/${S3_BUCKET}/large`, headers, body },
    { kind: 'put', key: 'large', abortSignal: new AbortController().signal },
  )
  assert.is(response.statusCode, 200)
  assert.is(server.objects.get('large')?.body.length, 8 * MIB)
  assert.ok(pauses >= 16, `${pauses} pauses`)
  wire.destroy()
  await server.close()
})

Wire.run()
