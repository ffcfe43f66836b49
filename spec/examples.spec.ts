import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { run, startBroker } from './process/support/broker-process.ts'
import { built, root } from './process/support/built.ts'

/** Every example as a newcomer runs it: a process of its own, on the built package. */
const Examples = suite('the examples')

/** By file, what it says, in this order. */
const outputs: Readonly<Record<string, readonly RegExp[]>> = {
  'embedded.ts': [
    /sent order 1 to queue 0 at offset 0/,
    /received \{"order":1,"total":42\}, tag paid, currency EUR/,
    /it came again as attempt 2 \(negativeAck\)/,
    /shipping consumed 5 messages/,
    /opened again: 3 orders still wait for billing/,
  ],
  'fifo.ts': [
    /at work on "alice: opened" and on "bob: opened", side by side/,
    /a third one now\? no/,
    /"bob: opened" is acknowledged, so "bob: filled" comes next/,
    /given back, "bob: filled" comes again as attempt 2/,
  ],
  'in-tests.ts': [/# pass 2\n/, /# fail 0\n/],
  'tiering.ts': [
    /uploaded 0-0000000000000000\.segment, 5 MiB/,
    /verified manifest\.json: fine/,
    /verified 0-0000000000000000\.segment: fine/,
    /in the tier: 0 to 5000; in the log: 5000 to 5000/,
    /received 5001 of 5001, in order and without a gap/,
    /a month would cost less than a dollar/,
    /after its end 0 objects are left/,
    /audit: clean/,
  ],
  'time-in-tests.ts': [/flows that take days/, /Total: +4\n/, /Passed: +4\n/],
  'transactions.ts': [
    /order 2 is not paid/,
    /shipped: order 1\n/,
    /2 transactions wait; shipped: none/,
    /asked after 6 s, so shipped: order 3\n/,
    /0 transactions wait/,
  ],
  'first-message.ts': [/Connecting/, /Sent +"Hello from/, /Received +"Hello from/, /That was all/],
  'demo.ts': [
    /a broker runs on 127\.0\.0\.1:\d+/,
    /"order 2" came back by itself, as attempt 2/,
    /in order: alice opened, alice filled, alice closed/,
    /in order: bob opened, bob filled, bob closed/,
    /failed 17 times and is not lost/,
    /killed the broker after \d+ acknowledged sends/,
    /ready in \d+ ms/,
    /1000 of 1000 sends are acknowledged/,
    / 0 lost/,
    /That was the tour/,
  ],
}

const runExample = async (file: string, ...args: string[]) => {
  const example = run([process.execPath, '--import', 'tsx', join(root, 'examples', file), ...args])
  const { code } = await example.exited
  return { code, text: example.stdout(), stderr: example.stderr() }
}

const check = async (file: string, ...args: string[]): Promise<void> => {
  const { code, text, stderr } = await runExample(file, ...args)
  assert.is(code, 0, text + stderr)
  let from = 0
  for (const pattern of outputs[file] ?? []) {
    const at = text.slice(from).search(pattern)
    assert.ok(at >= 0, `${pattern} is missing in:\n${text}`)
    from += at
  }
}

Examples.before(built)

Examples('are all described here', async () => {
  const files = (await readdir(join(root, 'examples'))).filter((file) => file.endsWith('.ts'))
  assert.equal(files.sort(), Object.keys(outputs).sort())
})

for (const file of [
  'embedded.ts',
  'fifo.ts',
  'in-tests.ts',
  'tiering.ts',
  'time-in-tests.ts',
  'transactions.ts',
  'demo.ts',
])
  Examples(`${file} does what it says`, () => check(file))

Examples('first-message.ts does what it says, again and again', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'glasspost-first-'))
  const broker = await startBroker({ dataDir })
  await check('first-message.ts', broker.grpc)
  await check('first-message.ts', broker.grpc)
  assert.equal(await broker.end('SIGTERM'), { code: 0, signal: null })
  await rm(dataDir, { recursive: true })
})

Examples('first-message.ts says what to do when there is no broker', async () => {
  const { code, stderr } = await runExample('first-message.ts', '127.0.0.1:1')
  assert.is(code, 1)
  assert.match(stderr, /Is a broker running on 127\.0\.0\.1:1\? "npm start" starts one/)
})

Examples.run()
