import { createBroker } from 'glasspost'

/**
 * A message that must be sent exactly if something else is written: it is stored first and shown
 * to nobody, then comes the other write, then the decision. Whoever dies in between is asked.
 */
const broker = await createBroker({ memory: true, clock: 'manual' })
await broker.topics.create('orders', { type: 'TRANSACTION', queues: 1 })

/** Stands for your database. */
const database = new Set<string>()

const placeOrder = async (order: string, { isPaid }: { isPaid: boolean }): Promise<void> => {
  // Leaving the block without commit() rolls back.
  await using transaction = await broker.transaction('orders', { body: order })
  if (!isPaid) throw new Error(`${order} is not paid`)
  database.add(order)
  await transaction.commit()
}

const shipped = async (): Promise<string[]> => {
  const orders = await broker.receive({ topic: 'orders', group: 'shipping' })
  for (const order of orders) await order.ack()
  return orders.map(({ text }) => text)
}

await placeOrder('order 1', { isPaid: true })
await placeOrder('order 2', { isPaid: false }).catch((error: Error) => console.log(error.message))
console.log(`shipped: ${(await shipped()).join(', ')}`)

// A program that dies between its two writes leaves its transactions behind.
database.add('order 3')
await broker.transaction('orders', { body: 'order 3' })
await broker.transaction('orders', { body: 'order 4' })
console.log(`${broker.transactions.count('orders')} transactions wait; shipped: none`)

// Any program of the topic can answer for it, from what the database says.
const stop = broker.checkTransactions('orders', ({ text }) =>
  database.has(text) ? 'commit' : 'rollback',
)
await broker.clock.advance('10 seconds')
console.log(`asked after 6 s, so shipped: ${(await shipped()).join(', ')}`)
console.log(`${broker.transactions.count('orders')} transactions wait`)

stop()
await broker.close()
