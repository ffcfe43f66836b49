import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CoreBroker } from '../../actors/broker/broker.ts'
import { brokerDefaults } from '../../actors/broker/settings.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import { isBrokerError, systemClock } from '../../index.ts'
import { tagFilter } from '../../model/delivery/filter.ts'
import { CrashablePlace } from '../../storage/crashable/crashable-place.ts'
import { seededRandom } from '../support/random.ts'
import { eventually } from '../support/waiting.ts'
import { built } from './support/built.ts'

const DISK = '192m'
const script = fileURLToPath(new URL('support/fill-disk-of-broker.ts', import.meta.url))

/** In a mount namespace of its own: the small file system is gone with the process. */
const inside = (disk: string, work: string) =>
  promisify(execFile)('unshare', ['-rm', 'sh', '-c', `${MOUNT} && ${work}`, disk])
const MOUNT = `mkdir -p "$0" && mount -t tmpfs -o size=${DISK} tmpfs "$0"`

const FullDisk = suite('a disk that fills up under load')

FullDisk('is survived by a real broker on a real file system', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-full-'))
  const disk = join(folder, 'disk')
  try {
    const isPossible = await inside(disk, 'true').catch(() => undefined)
    if (isPossible === undefined) {
      console.log('SKIPPED: a full disk cannot be made here (it takes unshare and tmpfs)')
      return
    }
    await built()
    const { stdout } = await inside(disk, `"${process.execPath}" --import tsx "${script}" "$0"`)
    console.log(stdout)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

const quiet = { info: () => {}, warn: () => {}, error: () => {} }

const openOn = (place: CrashablePlace) =>
  CoreBroker.open(
    { clock: systemClock, logger: quiet, place: place.boot(), inspect: undefined },
    brokerDefaults,
  )

const messageOf = (number: number) =>
  encodeDraft({ body: `${number}` }, { messageId: `id-${number}`, bornAtMs: 0, bornHost: 'here' })

/** The same on a store in memory that tears writes as LevelDB does: it runs everywhere. */
FullDisk('is survived on a store that tears its writes', async () => {
  const place = new CrashablePlace({ random: seededRandom(1), clock: systemClock })
  const broker = await openOn(place)
  await broker.topics.create('filling', { queues: 1 })
  const acknowledged = new Set<string>()
  const codes = new Set<string>()
  let next = 0
  const send = (): Promise<void> =>
    Promise.resolve()
      .then(() => broker.append('filling', messageOf(next++)))
      .then(
        ({ messageId }) => void acknowledged.add(messageId),
        (error: unknown) => void codes.add(isBrokerError(error) ? error.code : String(error)),
      )
  const sendMany = (count: number) => Promise.all(Array.from({ length: count }, send))

  await sendMany(200)
  const wave = sendMany(200)
  place.failWrites('commit-log', { error: 'ENOSPC' })
  place.fillDisk()
  await sendMany(200)
  place.freeDisk()
  place.heal()
  await wave
  const before = acknowledged.size
  await eventually('sends are taken again', async () => {
    await send()
    return acknowledged.size > before
  })
  const then = acknowledged.size
  await sendMany(1_000)
  assert.is(acknowledged.size, then + 1_000)
  assert.ok([...codes].every((code) => ['STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN'].includes(code)))

  place.crash(7)
  await broker.close()
  const again = await openOn(place)
  const stored = new Set<string>()
  for (;;) {
    const { deliveries } = await again.receive({
      topic: 'filling',
      group: 'reader',
      filter: tagFilter('*'),
      batchMax: 32,
      invisibleMs: 60_000,
      waitMs: 0,
    })
    if (deliveries.length === 0) break
    for (const { message, handle } of deliveries) {
      stored.add(decodeSystem(message.system).messageId)
      await again.ack(handle)
    }
  }
  assert.equal(
    [...acknowledged].filter((id) => !stored.has(id)),
    [],
  )
  await again.close()
})

FullDisk.run()
