import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createBroker, systemClock, systemRandom, type TierOption } from '../../index.ts'
import { type BrokerErrorCode, isBrokerError } from '../../model/errors.ts'
import { openTier } from '../../open-tier.ts'
import { MemoryObjectStore } from '../../storage/memory/memory-object-store.ts'
import type { SentRequest } from '../../storage/ports/object-store.ts'
import { probeObjectStore } from '../../storage/tier/probe-object-store.ts'
import {
  openS3Server,
  S3_BUCKET,
  S3_CREDENTIALS,
  type S3ServerOptions,
} from '../support/s3-server.ts'
import { s3StoreOn } from '../support/s3-store.ts'

const namespace = '0123456789abcdef'
const HOUR_MS = 3_600_000

const codeOf = (work: Promise<unknown>): Promise<BrokerErrorCode | 'done' | undefined> =>
  work.then(
    () => 'done',
    (error: unknown) => (isBrokerError(error) ? error.code : undefined),
  )

const within = async (work: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-spec-'))
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const openWith = (option: TierOption, dataDir?: string) => {
  const requests: SentRequest[] = []
  const warnings: unknown[] = []
  const opening = openTier(option, {
    ...{ clock: systemClock, random: systemRandom, dataDir, namespace },
    logger: { info: () => {}, error: () => {}, warn: (fields) => warnings.push(fields) },
    onRequest: (request) => requests.push(request),
  })
  return { opening, requests, warnings }
}

const onServer = async (
  options: S3ServerOptions,
  work: (server: Awaited<ReturnType<typeof openS3Server>>) => Promise<void>,
): Promise<void> => {
  const server = await openS3Server(options)
  try {
    await work(server)
  } finally {
    await server.close()
  }
}

const s3On = ({ endpoint }: { endpoint: string }): TierOption => ({
  s3: {
    ...{ bucket: S3_BUCKET, endpoint, region: 'us-east-1', forcePathStyle: true },
    ...{ credentials: S3_CREDENTIALS, attemptsMax: 1 },
  },
})

const Tier = suite('opening the tier')

Tier('is nothing when it is off', async () => {
  assert.is(await openWith('off').opening, undefined)
})

Tier('is a directory within the data directory, or one that is named', () =>
  within(async (folder) => {
    for (const [option, path] of [
      ['directory', join(folder, 'tier')],
      [{ directory: join(folder, 'other') }, join(folder, 'other')],
    ] as const) {
      const { opening, requests } = openWith(option, folder)
      const tier = await opening
      assert.is(tier?.store.name, path)
      assert.equal(await readdir(path), ['.uploads'])
      assert.ok(requests.some(({ kind }) => kind === 'put'))
      await tier?.close()
    }
    assert.is(await codeOf(openWith('directory').opening), 'SETTINGS_ILLEGAL')
  }),
)

Tier('leaves a store of somebody else open', async () => {
  const store = new MemoryObjectStore({ clock: systemClock })
  const tier = await openWith({ store }).opening
  await tier?.close()
  await store.put('mine', [], { ifAbsent: false })
})

Tier('tells of the requests of a bucket', () =>
  onServer({}, async (server) => {
    const { opening, requests } = openWith(s3On(server))
    const tier = await opening
    assert.is(tier?.store.name, `s3://${S3_BUCKET}`)
    assert.is(requests.length, server.requests)
    assert.equal([...server.objects.keys()], [])
    await tier?.close()
  }),
)

for (const conditions of ['ignored', 'refused'] as const)
  Tier(`refuses a store whose conditional writes are ${conditions}, and leaves nothing in it`, () =>
    onServer({ conditions }, async (server) => {
      const error: unknown = await openWith(s3On(server)).opening.catch((cause: unknown) => cause)
      assert.ok(isBrokerError(error, 'TIER_UNFIT'))
      assert.match(error.message, /If-None-Match is ignored|501 NotImplemented/)
      assert.is(await codeOf(createBroker({ memory: true, tier: s3On(server) })), 'TIER_UNFIT')
      assert.equal([...server.objects.keys()], [])
    }),
  )

Tier('begins without a store that is away or denies access, and says so', () =>
  onServer({}, async (server) => {
    for (const fault of ['slowDown', 'denied', 'bucketGone'] as const) {
      server.faults.during(fault)
      const { opening, warnings } = openWith(s3On(server))
      assert.ok(await opening)
      assert.is(warnings.length, 1)
      await (await opening)?.close()
    }
    const broker = await createBroker({ memory: true, tier: s3On(server) })
    await broker.close()
  }),
)

Tier('takes a probe whose answer was lost for its own', () =>
  onServer({}, async (server) => {
    server.faults.next(['answerLost'], ['put'])
    const store = s3StoreOn(server)
    await probeObjectStore(store, { random: systemRandom, namespace })
    await store.close()
  }),
)

Tier('removes what broken-off probes left, and nothing younger or else', async () => {
  let wallMs = 0
  const store = new MemoryObjectStore({ clock: { ...systemClock, wallMs: () => wallMs } })
  for (const key of [`${namespace}/probe-left`, `${namespace}/probes`, 'else/probe-left'])
    await store.put(key, [], { ifAbsent: true })
  wallMs = HOUR_MS
  await store.put(`${namespace}/probe-other`, [], { ifAbsent: true })
  wallMs += 1
  await probeObjectStore(store, { random: systemRandom, namespace })
  assert.equal([...store.objects.keys()].sort(), [
    `${namespace}/probe-other`,
    `${namespace}/probes`,
    'else/probe-left',
  ])
})

Tier.run()
