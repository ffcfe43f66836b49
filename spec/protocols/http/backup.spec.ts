import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { eventually } from '../../support/waiting.ts'
import { readBackup } from '../../../storage/log/backup-stream.ts'
import { type AdminClient, serveAdmin } from './support/admin-client.ts'

const BODY_BYTES = 4 << 20

const Backup = suite<{ client: AdminClient }>('the HTTP door: backups')

Backup.before(async (context) => {
  context.client = await serveAdmin()
  const { broker } = context.client.server
  await broker.topics.create('orders', { queues: 1 })
  for (let count = 0; count < 8; count++)
    await broker.send('orders', { body: Buffer.alloc(BODY_BYTES, count) })
})
Backup.after(({ client }) => client.server.close({ drainMs: 0 }))

Backup('streams one that is whole', async ({ client }) => {
  const { body, headers } = await fetch(`${client.url}/v1/backup`)
  assert.is(headers.get('content-type'), 'application/octet-stream')
  const types: string[] = []
  if (body === null) throw new Error('no body')
  for await (const { type } of readBackup('http', body)) types.push(type)
  assert.is(types[0], 'header')
  assert.is(types.at(-1), 'end')
  assert.ok(types.length >= 10)
})

Backup('takes one at a time, until it is read or left', async ({ client }) => {
  const leaving = new AbortController()
  const first = await fetch(`${client.url}/v1/backup`, { signal: leaving.signal })
  assert.is(first.status, 200)
  const second = await client.call('GET /v1/backup')
  assert.equal([second.status, second.json()['code']], [429, 'THROTTLED'])
  leaving.abort()
  const isFree = async () => {
    const answer = await fetch(`${client.url}/v1/backup`)
    await answer.arrayBuffer()
    return answer.status === 200
  }
  await eventually('the one that was left is over', isFree)
})

Backup('begins none for a HEAD request', async ({ client }) => {
  for (let count = 0; count < 3; count++) {
    const { status } = await fetch(`${client.url}/v1/backup`, { method: 'HEAD' })
    assert.is(status, 200)
  }
  const answer = await fetch(`${client.url}/v1/backup`)
  assert.is(answer.status, 200)
  await answer.arrayBuffer()
})

Backup.run()
