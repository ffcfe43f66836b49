import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { run } from './support/broker-process.ts'
import type { CyclesReport } from './support/cycles-report.ts'

/** `CYCLES=100000 SEED=7` for a longer run. */
const LIMIT_MS = Number(process.env['CYCLES'] ?? 0) > 2_000 ? 3_600_000 : 120_000
/** Less than 300 bytes for each topic and group that came and went, so none of them stays. */
const HEAP_BYTES_MAX = 500_000
const BUFFER_BYTES_MAX = 8 << 20

const script = fileURLToPath(new URL('support/cycles-of-owners.ts', import.meta.url))

const Cycles = suite('owners that come and go')

Cycles('1,000 times, with requests in flight, leave nothing behind', async () => {
  // Machine code that comes to be on the way would count as memory that stays.
  const flags = ['--expose-gc', '--no-opt', '--no-sparkplug', '-C', 'development']
  const child = run([process.execPath, ...flags, '--import', 'tsx', script])
  const limit = setTimeout(() => child.child.kill('SIGKILL'), LIMIT_MS)
  const { code } = await child.exited
  clearTimeout(limit)
  assert.is(code, 0, child.stderr())
  const report = JSON.parse(child.stdout()) as CyclesReport
  const { before, after } = report
  assert.ok(report.sent > report.cycles, 'there were messages')
  assert.equal(report.residue, [])
  assert.ok(report.clean)
  assert.is(report.awaitingReclaim, 0)
  assert.equal(after.series, before.series, 'the same series as before')
  assert.is(after.neighbour, before.neighbour, 'neighbours are as they were')
  assert.is(report.actors, 3, 'two topics and a group live')
  assert.equal(
    report.timers.filter((owner) => owner !== 'broker'),
    [],
  )
  assert.is(report.parked, 0)
  const heapBytes = after.heapBytes - before.heapBytes
  assert.ok(heapBytes < HEAP_BYTES_MAX, `${heapBytes} bytes more on the heap`)
  const bufferBytes = after.bufferBytes - before.bufferBytes
  assert.ok(bufferBytes < BUFFER_BYTES_MAX, `${bufferBytes} bytes more outside the heap`)
})

Cycles.run()
