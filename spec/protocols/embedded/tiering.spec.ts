import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createBroker,
  type EmbeddedBroker,
  isBrokerError,
  restoreBackup,
  type TierOption,
} from '../../../index.ts'
import { eventually } from '../../support/waiting.ts'

const MESSAGES = 50

const Tiering = suite<{ folder: string }>('a program with a tier')

Tiering.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-tiering-'))
})
Tiering.after.each(({ folder }) => rm(folder, { recursive: true, force: true }))

/** The log keeps nothing that the tier has. */
const settings = { local: { ageMs: 1 }, upkeepRestMs: 20 }
const open = (dataDir: string, tier: TierOption) => createBroker({ dataDir, tier, settings })

/** Offloads everything, and waits until the log has nothing of it. */
const moveAll = async (broker: EmbeddedBroker): Promise<void> => {
  for await (const { problem } of broker.tiering.offload()) assert.is(problem, undefined)
  const isGone = () => {
    const queues = broker.tiering.status()?.topics.flatMap((topic) => topic.queues) ?? []
    return queues.every(({ localMin, offsetMax }) => localMin === offsetMax)
  }
  await eventually('the log let go', isGone)
}

const fill = async (broker: EmbeddedBroker): Promise<void> => {
  await broker.topics.create('orders', { queues: 1 })
  for (let order = 0; order < MESSAGES; order++) await broker.send('orders', { body: `${order}` })
  await moveAll(broker)
}

const received = async (broker: EmbeddedBroker, group: string): Promise<string[]> => {
  const texts: string[] = []
  for (let left = 3; left > 0; left--) {
    const messages = await broker.receive({ topic: 'orders', group, waitMs: 300 })
    texts.push(...messages.map(({ text }) => text))
    await broker.ackAll(messages)
  }
  return texts
}

const everything = Array.from({ length: MESSAGES }, (_, order) => `${order}`)

const objectsIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory, { recursive: true })).filter((name) => name.endsWith('.segment'))

Tiering('has it in its data directory by default, and needs it from then on', async (context) => {
  const dataDir = join(context.folder, 'data')
  const broker = await open(dataDir, 'directory')
  await fill(broker)
  assert.is((await objectsIn(join(dataDir, 'tier'))).length, 1)
  await broker.close()
  for (const tier of ['off', { directory: join(context.folder, 'elsewhere') }] as const) {
    const outcome = await open(dataDir, tier).catch((error: unknown) => error)
    if (tier === 'off') assert.ok(isBrokerError(outcome, 'TIER_REQUIRED'), String(outcome))
    else await (outcome as EmbeddedBroker).close()
  }
  const again = await open(dataDir, 'directory')
  assert.equal(await received(again, 'billing'), everything)
  await again.send('orders', { body: 'new' })
  await again.receive({ topic: 'orders', group: 'billing' })
  const lines = (await again.metrics()).split('\n')
  const outs = lines.filter((line) => /^rocketmq_\w*messages_out_total\{/.test(line))
  assert.is(outs.length, 2, outs.join('\n'))
  for (const line of outs)
    assert.match(line, line.includes('tiered') ? /group="billing".* 50$/ : /="billing".* 51$/)
  await again.close()
})

Tiering('says what there is without one', async () => {
  await using broker = await createBroker({ memory: true })
  assert.is(broker.tiering.status(), undefined)
  try {
    for await (const _ of broker.tiering.offload()) assert.unreachable()
  } catch (error) {
    assert.ok(isBrokerError(error, 'TIER_OFF'))
  }
})

Tiering('restored from a backup reads the history of its predecessor, and leaves it', async (c) => {
  const [dataDir, directory] = [join(c.folder, 'data'), join(c.folder, 'history')]
  const old = await open(dataDir, { directory })
  await fill(old)
  const namespace = old.tiering.status()?.namespace ?? ''
  await old.backup(join(c.folder, 'backup'))
  await old.close()
  const own = await objectsIn(directory)

  const restored = join(c.folder, 'restored')
  await restoreBackup({ backup: join(c.folder, 'backup'), dataDir: restored })
  const broker = await open(restored, { directory })
  assert.is.not(broker.tiering.status()?.namespace, namespace)
  assert.equal(await received(broker, 'billing'), everything)
  await broker.send('orders', { body: 'one more' })
  await moveAll(broker)
  assert.is((await objectsIn(directory)).length, own.length + 1, 'its own go beside the others')
  for await (const { problem } of broker.tiering.verify()) assert.is(problem, undefined)
  assert.equal(await broker.tiering.residue(), [], 'what is not its own is none of its business')
  await broker.topics.end('orders')
  await eventually('it is dropped', () => broker.tiering.status()?.topics.length === 0)
  assert.equal(await objectsIn(directory), own, 'what its predecessor wrote is still there')
  await broker.close()

  const first = await open(dataDir, { directory })
  assert.equal(await received(first, 'again'), everything)
  await first.close()
})

Tiering.run()
