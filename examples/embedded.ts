import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBroker } from 'glasspost'

/** A broker inside your own process: durable topics without a server. */
const dataDir = await mkdtemp(join(tmpdir(), 'glasspost-embedded-'))

const work = async (): Promise<void> => {
  await using broker = await createBroker({ dataDir })
  await broker.topics.create('orders', { queues: 1 })

  // Resolves once the message is on disk.
  const receipt = await broker.send('orders', {
    body: JSON.stringify({ order: 1, total: 42 }),
    tag: 'paid',
    keys: ['order-1'],
    properties: { currency: 'EUR' },
  })
  console.log(`sent order 1 to queue ${receipt.queueId} at offset ${receipt.queueOffset}`)

  // Yours for a minute. Ask for more time when the work takes longer; ack when it is done.
  const [order] = await broker.receive({ topic: 'orders', group: 'billing' })
  if (order === undefined) throw new Error('nothing was received')
  console.log(`received ${order.text}, tag ${order.tag}, currency ${order.properties['currency']}`)
  await order.extend(5 * 60_000)
  await order.ack()
  console.log('acknowledged it: it never comes again to this group')

  // A message given back is delivered again, and says why.
  await broker.send('orders', { body: 'order 2' })
  const [once] = await broker.receive({ topic: 'orders', group: 'billing' })
  await once?.extend(0)
  const [again] = await broker.receive({ topic: 'orders', group: 'billing', waitMs: 5_000 })
  console.log(`gave order 2 back: it came again as attempt ${again?.attempt} (${again?.cause})`)
  await again?.ack()

  // A consumer of its own group sees every message, from the oldest on. Leaving the loop is fine.
  for (const number of [3, 4, 5]) await broker.send('orders', { body: `order ${number}` })
  let seen = 0
  for await (const message of broker.consume({ topic: 'orders', group: 'shipping' })) {
    await message.ack()
    if (++seen === 5) break
  }
  console.log(`shipping consumed ${seen} messages`)
}

/** What was sent before is there when the directory is opened again. */
const workAgain = async (): Promise<void> => {
  await using broker = await createBroker({ dataDir })
  const left = await broker.receive({ topic: 'orders', group: 'billing' })
  console.log(`opened again: ${left.length} orders still wait for billing`)
}

try {
  await work()
  await workAgain()
} finally {
  await rm(dataDir, { recursive: true })
}
