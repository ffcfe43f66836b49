import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../support/random.ts'
import { eventually } from '../../support/waiting.ts'
import { type AdminClient, serveAdmin } from './support/admin-client.ts'

const CYCLES = Number(process.env['CYCLES'] ?? 120)
const AT_ONCE = 8
const WARM_UP = 40
const SETTLES_MS_MAX = 10_000

const Cycles = suite<{ admin: AdminClient }>('topics and groups, made and ended over and over')

Cycles.before(async (context) => {
  context.admin = await serveAdmin()
})
Cycles.after(({ admin }) => admin.server.close())

/** A life in a random order, with requests in flight when it ends. */
const cycle = async ({ call }: AdminClient, index: number): Promise<void> => {
  const random = seededRandom(index)
  const chance = (): boolean => (random.bytes(1)[0] ?? 0) < 128
  // Names that are alike, so that one of them could be taken for another.
  const name = `cycle-${'x'.repeat(index % AT_ONCE)}`
  await call('POST /v1/topics', { name, queues: 2, type: chance() ? 'NORMAL' : 'MIXED' })
  const inFlight: Promise<unknown>[] = []
  for (let sent = 0; sent < 3; sent++)
    inFlight.push(call(`POST /v1/topics/${name}/messages`, { body: `${sent}` }))
  if (chance()) await Promise.all(inFlight)
  const waitMs = chance() ? 5_000 : 0
  for (const group of [name, `${name}-2`])
    inFlight.push(call(`POST /v1/groups/${group}/receive`, { topic: name, waitMs }))
  if (chance()) await call('GET /metrics')
  const ends: (() => Promise<unknown>)[] = [
    () => call(`DELETE /v1/topics/${name}`),
    () => call(`DELETE /v1/groups/${name}`),
  ]
  if (chance()) ends.reverse()
  for (const end of ends) await end()
  await Promise.all(inFlight)
  // A receive in flight may have made the group after it was deleted.
  for (const group of [name, `${name}-2`]) await call(`DELETE /v1/groups/${group}`)
}

const run = async (admin: AdminClient, cycles: number): Promise<void> => {
  const lane = async (first: number): Promise<void> => {
    for (let index = first; index < cycles; index += AT_ONCE) await cycle(admin, index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, first) => lane(first)))
}

/** Every series that names an owner. */
const seriesOf = async ({ call }: AdminClient): Promise<string[]> =>
  (await call('GET /metrics')).text
    .split('\n')
    .filter((line) => /\b(topic|consumer_group|address)="/.test(line))
    .map((line) => line.replace(/ \S+$/, ''))
    .sort()

Cycles('leave no series and no residue, and neighbours alone', async ({ admin }) => {
  const { call, server } = admin
  await call('POST /v1/topics', { name: 'cycle' })
  await call('POST /v1/topics/cycle/messages', { body: 'stays' })
  await call('POST /v1/groups/cycle-2/receive', { topic: 'cycle' })
  await run(admin, WARM_UP)
  const before = await seriesOf(admin)
  await run(admin, CYCLES)
  const more = async () => (await seriesOf(admin)).filter((series) => !before.includes(series))
  await eventually('no series is left', async () => (await more()).length === 0, SETTLES_MS_MAX)
  const { clean, residue } = await server.broker.audit()
  assert.ok(clean, JSON.stringify(residue))
  assert.is((await call('GET /v1/topics/cycle')).json()['messages'], 1)
  assert.is((await call('GET /v1/groups/cycle-2')).json()['inFlight'], 1)
})

Cycles.run()
