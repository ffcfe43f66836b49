import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { recordsOf } from '../../storage/codec/record.ts'
import { contentOf, groupsOf, openBroker } from './content.ts'
import { type KeptDataDir, type Release, unpack } from './data-dir.ts'
import { HandClock } from './hand-clock.ts'

/**
 * What a released version wrote, the present code reads. One that fails here has changed what
 * bytes mean which users have on disk: give the new meaning a version or a type of its own.
 */
const FIXTURES = 'spec/fixtures'

/** Every type of fact of format 0.1: so that the fixture leaves none out. */
const factTypes01 = [1, 2, 3, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 30, 31, 32, 33, 40, 41]

const releases = new Map<string, Release>()
for (const file of await readdir(FIXTURES))
  if (/^data-.*\.json$/.test(file))
    releases.set(file, JSON.parse(await readFile(join(FIXTURES, file), 'utf8')) as Release)

const within = async (
  kept: KeptDataDir,
  work: (dataDir: string, clock: HandClock) => Promise<void>,
): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-upgrade-'))
  try {
    const dataDir = join(folder, 'data')
    await unpack(kept.files, dataDir)
    await work(dataDir, new HandClock(kept.wallMs))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const assertContent = async ({ content }: KeptDataDir, dataDir: string, clock: HandClock) => {
  const { handles: _, ...expected } = content
  await using opened = await openBroker(dataDir, clock)
  const found = await contentOf(opened.broker, clock)
  for (const part of ['topics', 'messages', 'paid', 'unacked'] as const)
    assert.equal(found[part], expected[part], part)
  assert.equal(alike(found.groups, expected.groups), expected.groups, 'groups')
}

interface Rows {
  readonly progress: readonly { readonly topic: string; readonly queueId: number }[]
}

/** Without the queues of which a later version tells and the writer did not: nothing was read. */
const alike = (found: readonly unknown[], expected: readonly unknown[]): unknown[] =>
  (found as Rows[]).map((group, index) => ({
    ...group,
    progress: group.progress.filter(({ topic, queueId }) =>
      (expected[index] as Rows | undefined)?.progress.some(
        (row) => row.topic === topic && row.queueId === queueId,
      ),
    ),
  }))

const Upgrade = suite('upgrade')

for (const [file, { writtenBy, dirs }] of releases)
  for (const kept of dirs) {
    const what = `${kept.name} data of ${writtenBy} (${file})`

    Upgrade(`opens ${what}`, () => within(kept, (...data) => assertContent(kept, ...data)))

    Upgrade(`opens ${what} without its index`, () =>
      within(kept, async (dataDir, clock) => {
        await rm(join(dataDir, 'index'), { recursive: true })
        await assertContent(kept, dataDir, clock)
      }),
    )

    Upgrade(`opens ${what} a second time, as it has closed it itself`, () =>
      within(kept, async (dataDir, clock) => {
        const opened = await openBroker(dataDir, clock)
        await opened.close()
        await assertContent(kept, dataDir, clock)
      }),
    )

    for (const hasIndex of [true, false])
      Upgrade(`knows the handles of ${what}${hasIndex ? '' : ' without its index'}`, () =>
        within(kept, async (dataDir, clock) => {
          if (!hasIndex) await rm(join(dataDir, 'index'), { recursive: true })
          await using opened = await openBroker(dataDir, clock)
          const { broker } = opened
          const { handles } = kept.content
          const before = lagOf(groupsOf(broker))
          for (const text of handles) await broker.ack(broker.openHandle(text))
          assert.is(lagOf(groupsOf(broker)), before - handles.length)
          assert.is(handles.length, 2)
        }),
      )
  }

const lagOf = (groups: ReturnType<typeof groupsOf>): number =>
  groups.flatMap(({ progress }) => progress).reduce((sum, { lag }) => sum + lag, 0)

Upgrade('has kept facts of every type of format 0.1', async () => {
  const types = new Set<number>()
  for (const kept of releases.get('data-0.1.json')?.dirs ?? [])
    await within(kept, async (dataDir, clock) => {
      await using opened = await openBroker(dataDir, clock)
      for await (const step of opened.broker.log.chunks.scan(0))
        if (step.type === 'chunk')
          for (const { type } of recordsOf(step.bytes, step.offset)) types.add(type)
    })
  assert.equal(
    factTypes01.filter((type) => !types.has(type)),
    [],
  )
})

Upgrade.run()
