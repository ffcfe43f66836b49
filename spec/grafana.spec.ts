import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createBroker } from '../index.ts'

interface Panel {
  readonly title: string
  readonly type: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

interface Board {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly definition?: string }[] }
}

/** What PromQL has of its own. */
const words = new Set(
  (
    'sum min max rate increase topk by or bool vector histogram_quantile label_values le ' +
    'node_id topic consumer_group reason cause version kind buffer state operation'
  ).split(' '),
)

const Grafana = suite('the Grafana board')

const board = async (): Promise<Board> => {
  const file = new URL('../docs/grafana/glasspost.json', import.meta.url)
  return JSON.parse(await readFile(file, 'utf8')) as Board
}

const queriesOf = ({ panels, templating }: Board): string[] => [
  ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...templating.list.flatMap(({ definition }) => (definition === undefined ? [] : [definition])),
]

/** Names in an expression, without what is in braces, brackets and strings. */
const namesIn = (query: string): string[] =>
  query
    .replace(/\{[^}]*\}|\[[^\]]*\]|"[^"]*"/g, ' ')
    .split(/[^A-Za-z0-9_:$]+/)
    .filter((name) => /^[a-z]/.test(name) && !words.has(name))

const scrape = async (): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'glasspost-board-'))
  await using broker = await createBroker({ memory: true, tier: { directory } })
  await broker.topics.create('orders', { type: 'MIXED' })
  await broker.send('orders', { body: 'one' })
  const [message] = await broker.receive({ topic: 'orders', group: 'billing' })
  await message?.extend(0)
  await broker.receive({ topic: 'orders', group: 'billing' })
  for await (const { problem } of broker.tiering.offload()) assert.is(problem, undefined)
  const text = await broker.metrics()
  await rm(directory, { recursive: true })
  return text
}

Grafana('every metric that it queries is in a real scrape', async () => {
  const lines = (await scrape()).split('\n')
  const families = lines
    .filter((line) => line.startsWith('# TYPE '))
    .map((line) => line.split(' ')[2])
  const series = lines.filter((line) => line !== '' && !line.startsWith('#'))
  const known = new Set([...families, ...series.map((line) => line.replace(/[{ ].*/, ''))])
  const queried = queriesOf(await board()).flatMap(namesIn)
  assert.ok(queried.length > 40)
  assert.equal(
    queried.filter((name) => !known.has(name)),
    [],
  )
})

Grafana('every label that it selects or groups by is on the series it asks for', async () => {
  const lines = (await scrape()).split('\n')
  const labelsOf = (metric: string): Set<string> => {
    const found = lines.filter((line) => line.startsWith(`${metric}{`))
    return new Set(
      found.flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, name = '']) => name)),
    )
  }
  for (const query of queriesOf(await board()))
    for (const [, metric = '', selector = ''] of query.matchAll(/(\w+)\{([^}]*)\}/g)) {
      const labels = labelsOf(metric)
      // Some families have no series while all is well.
      if (labels.size === 0) continue
      for (const [, label = ''] of selector.matchAll(/(\w+)=~/g))
        assert.ok(labels.has(label), `${metric} has no label ${label}`)
      const [, grouped = ''] = /by \(([^)]*)\)/.exec(query) ?? []
      for (const label of grouped.split(/, ?/).filter((name) => name !== ''))
        assert.ok(labels.has(label), `${metric} has no label ${label}`)
    }
})

Grafana('panels do not overlap, and each says what it shows', async () => {
  const { panels } = (await board()) as unknown as {
    panels: { title: string; gridPos: { x: number; y: number; w: number; h: number } }[]
  }
  const taken = new Map<string, string>()
  for (const { title, gridPos } of panels) {
    assert.ok(title.length > 0)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.is(taken.get(`${x},${y}`), undefined, `${title} overlaps`)
        taken.set(`${x},${y}`, title)
      }
  }
})

Grafana.run()
