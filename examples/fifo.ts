import { createBroker } from 'glasspost'

/**
 * Order where it matters: messages of one message group are delivered one after the other, and a
 * later one waits until the earlier one is acknowledged. Other groups do not wait for it.
 */
await using broker = await createBroker({ memory: true })
await broker.topics.create('accounts', { type: 'FIFO', queues: 4 })

for (const step of ['opened', 'filled', 'closed'])
  for (const messageGroup of ['alice', 'bob'])
    await broker.send('accounts', { body: `${messageGroup}: ${step}`, messageGroup })

const receiveOne = async () => {
  const [message] = await broker.receive({ topic: 'accounts', group: 'ledger', batchMax: 1 })
  return message
}

const first = await receiveOne()
const second = await receiveOne()
if (first === undefined || second === undefined) throw new Error('nothing was received')
console.log(`at work on "${first.text}" and on "${second.text}", side by side`)
console.log(`a third one now? ${(await receiveOne()) ? 'yes' : 'no, both groups wait their turn'}`)

await second.ack()
const next = await receiveOne()
console.log(`"${second.text}" is acknowledged, so "${next?.text}" comes next`)

// What cannot be done now is given back, and stays in front of its group.
await next?.extend(0)
const again = await receiveOne()
console.log(`given back, "${again?.text}" comes again as attempt ${again?.attempt}`)
