import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileWatch } from '../../../protocols/system/file-watch.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'
import { eventually } from '../../support/waiting.ts'
import { recordingLogger } from '../grpc/support/calls.ts'

const Watch = suite<{ folder: string }>('a watch on files')

Watch.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-watch-'))
})
Watch.after.each(({ folder }) => rm(folder, { recursive: true, force: true }))

const watching = async (files: string[], everyMs = 1_000) => {
  const clock = new SimulatedClock()
  const logger = recordingLogger()
  const state = { reloads: 0, failure: undefined as Error | undefined }
  const reload = async (): Promise<void> => {
    if (state.failure) throw state.failure
    state.reloads++
  }
  const watch = await FileWatch.open({ clock, logger }, { files, everyMs, reload })
  return { watch, clock, logger, state }
}

Watch('reloads when a file is another one, and only then', async ({ folder }) => {
  const files = ['a', 'b'].map((name) => join(folder, name))
  for (const file of files) await writeFile(file, 'x')
  const { watch, state } = await watching(files)
  await watch.look()
  assert.is(state.reloads, 0)
  await writeFile(files[1] ?? '', 'xx')
  await watch.look()
  await watch.look()
  assert.is(state.reloads, 1)
  await rm(files[0] ?? '')
  await watch.look()
  assert.is(state.reloads, 2)
})

Watch('sees a link that is swapped, which is how secrets are mounted', async ({ folder }) => {
  const [first, second, link] = ['1', '2', 'link'].map((name) => join(folder, name))
  await writeFile(first ?? '', 'x')
  await writeFile(second ?? '', 'y')
  await symlink(first ?? '', link ?? '')
  const { watch, state } = await watching([link ?? ''])
  await symlink(second ?? '', join(folder, 'new'))
  await rename(join(folder, 'new'), link ?? '')
  await watch.look()
  assert.is(state.reloads, 1)
})

Watch('looks by itself every so often, until it is closed', async ({ folder }) => {
  const file = join(folder, 'a')
  const { watch, clock, state } = await watching([file])
  await writeFile(file, 'x')
  await clock.advance(999)
  assert.is(state.reloads, 0)
  await clock.advance(1)
  await eventually('it reloaded', () => state.reloads === 1)
  await writeFile(file, 'yy')
  await eventually('it looks again', async () => {
    await clock.advance(1_000)
    return state.reloads === 2
  })
  watch.close()
  await writeFile(file, 'zzz')
  await clock.advance(10_000)
  await watch.look()
  assert.is(state.reloads, 2)
})

Watch('goes on with what was loaded when it cannot reload, and says so', async ({ folder }) => {
  const file = join(folder, 'a')
  const { watch, logger, state } = await watching([file], 0)
  state.failure = new Error('it is not JSON')
  await watch.look({ isForced: true })
  assert.equal(
    logger.lines.map(({ level }) => level),
    ['error'],
  )
  state.failure = undefined
  await watch.look({ isForced: true })
  assert.is(state.reloads, 1)
})

Watch.run()
