import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CoreBroker } from '../../../actors/broker/broker.ts'
import { createBroker } from '../../../index.ts'

const Checkers = suite('checks of single transactions')

const TRANSACTIONS = 60

const open = async () => {
  const broker = await createBroker({ memory: true, clock: 'manual' })
  const { deferred } = broker.port as CoreBroker
  await broker.topics.create('orders', { type: 'TRANSACTION' })
  return { broker, book: deferred.transactions }
}

Checkers('are forgotten with a topic that ends before its transactions', async () => {
  const { broker, book } = await open()
  for (let count = 0; count < TRANSACTIONS; count++)
    await broker.transaction('orders', { body: 'half' }, { check: () => 'unknown' })
  assert.is(book.checkers, TRANSACTIONS)
  await broker.topics.end('orders')
  await broker.topics.create('orders', { type: 'TRANSACTION' })
  for (let count = 0; count < TRANSACTIONS; count++) {
    const transaction = await broker.transaction(
      'orders',
      { body: 'half' },
      { check: () => 'unknown' },
    )
    await transaction.rollback()
  }
  assert.ok(book.checkers < TRANSACTIONS, `${book.checkers} are left`)
  await broker.close()
})

Checkers('are asked before anybody who answers for the topic', async () => {
  const { broker } = await open()
  const asked: string[] = []
  const leave = broker.checkTransactions('orders', () => {
    asked.push('anybody')
    return 'unknown'
  })
  for (const name of ['one', 'two', 'three'])
    await broker.transaction(
      'orders',
      { body: name },
      {
        check: (message) => {
          asked.push(message.text)
          return 'commit'
        },
      },
    )
  await broker.clock.advance('1 minute')
  assert.equal(asked.toSorted(), ['one', 'three', 'two'])
  leave()
  await broker.close()
})

Checkers.run()
