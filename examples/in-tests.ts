import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker, type EmbeddedBroker } from 'glasspost'

/**
 * Your own code that needs a broker, tested with a real one that keeps nothing: no server, no
 * mocks, no clean-up. Each test has its own.
 */
const confirmOrders = async (broker: EmbeddedBroker): Promise<number> => {
  const orders = await broker.receive({ topic: 'orders', group: 'confirmations' })
  for (const order of orders) {
    await broker.send('confirmations', { body: `confirmed ${order.text}` })
    await order.ack()
  }
  return orders.length
}

const aBroker = async (): Promise<EmbeddedBroker> => {
  const broker = await createBroker({ memory: true })
  await broker.topics.create('orders', { queues: 1 })
  await broker.topics.create('confirmations', { queues: 1 })
  return broker
}

void test('every order is confirmed', async () => {
  await using broker = await aBroker()
  await broker.send('orders', { body: 'order 1' })
  await broker.send('orders', { body: 'order 2' })

  assert.equal(await confirmOrders(broker), 2)

  const confirmations = await broker.receive({ topic: 'confirmations', group: 'test' })
  assert.deepEqual(
    confirmations.map(({ text }) => text),
    ['confirmed order 1', 'confirmed order 2'],
  )
})

void test('no order is confirmed twice', async () => {
  await using broker = await aBroker()
  await broker.send('orders', { body: 'order 1' })
  await confirmOrders(broker)
  assert.equal(await confirmOrders(broker), 0)
})
