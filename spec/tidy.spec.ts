import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path/posix'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { problemsIn, remarksOn, type Source } from './support/tidiness.ts'

const folders = [
  ...['model', 'machines', 'streams', 'storage', 'actors', 'protocols'],
  ...['examples', 'bench', 'spec'],
]

const sourcesOf = async (folder: string): Promise<Source[]> => {
  const files = await readdir(folder, { recursive: true }).catch(() => [])
  const isOurs = (file: string) => file.endsWith('.ts') && !file.endsWith('.generated.ts')
  const paths = files.filter(isOurs).map((file) => join(folder, file))
  return Promise.all(paths.map(async (path) => ({ path, text: await readFile(path, 'utf8') })))
}

const Tidy = suite('tidy')

Tidy('the rooms keep their promises', async () => {
  const sources = (await Promise.all(folders.map(sourcesOf))).flat()
  assert.ok(sources.length > 0)
  for (const remark of sources.flatMap(remarksOn)) console.log(`REMARK: ${remark}`)
  assert.is(sources.flatMap(problemsIn).join('\n'), '')
})

const problems = (path: string, text: string): number => problemsIn({ path, text }).length
const long = 'a '.repeat(51)

for (const [path, text] of [
  ['model/message.ts', "import { x } from 'node:crypto'"],
  ['model/message.ts', "import type { X } from '../machines/x.ts'"],
  ['machines/topic/x.ts', "import { x } from 'rxjs'"],
  ['machines/topic/x.ts', "import { x } from 'node:events'"],
  ['machines/topic/x.ts', "const { x } = await import('node:events')"],
  ['machines/topic/x.ts', "export { x } from '../../streams/x.ts'"],
  ['machines/topic/x.ts', "import '../../index.ts'"],
  ['streams/append/x.ts', "import { x } from 'xstate'"],
  ['storage/codec/x.ts', "import { x } from 'node:fs'"],
  ['storage/codec/x.ts', "import { x } from '../level/x.ts'"],
  ['storage/memory/x.ts', "import { Level } from 'level'"],
  ['storage/level/x.ts', "import { Level } from 'classic-level'"],
  ['storage/x.ts', ''],
  ['storage/tape/x.ts', ''],
  ['actors/x.ts', "import { x } from '../storage/level/x.ts'"],
  ['actors/x.ts', "} from '../protocols/grpc/x.ts'"],
  ['actors/x.ts', "import { x } from '../spec/support/x.ts'"],
  ['protocols/grpc/x.ts', "import { x } from '../../actors/x.ts'"],
  ['protocols/grpc/x.ts', "import { x } from '../metrics/x.ts'"],
  ['examples/x.ts', "import { x } from '../index.ts'"],
  ['examples/x.ts', "import { x } from 'level'"],
  ['actors/x.ts', 'const now = Date.now()'],
  ['actors/x.ts', 'const now = new Date()'],
  ['actors/x.ts', 'const now = performance.now()'],
  ['actors/x.ts', 'const x = Math.random()'],
  ['actors/x.ts', 'const x = crypto.randomUUID()'],
  ['actors/x.ts', 'setTimeout(x, 1)'],
  ['actors/x.ts', 'setInterval(x, 1)'],
  ['actors/x.ts', 'x.forEach(setImmediate)'],
  ['actors/x.ts', "console.log('x')"],
  ['actors/x.ts', 'const x = y as any'],
  ['actors/x.ts', 'const x: any = y'],
  ['actors/x.ts', '// TODO: later'],
  ['actors/x.ts', long],
  ['spec/x.spec.ts', long],
  ['spec/x.spec.ts', "X.only('x', () => {})"],
  ['spec/x.spec.ts', "const X = suite('x')"],
] satisfies [string, string][]) {
  Tidy(`finds in ${path}: ${text.slice(0, 60)}`, () => assert.is(problems(path, text), 1))
}

for (const [path, text] of [
  ['machines/topic/x.ts', "import { setup } from 'xstate'"],
  ['machines/topic/x.ts', "import type { X } from '../../model/ports.ts'"],
  ['machines/topic/x.ts', "import { x } from '../backoff.ts'"],
  ['storage/codec/x.ts', "import { crc32 } from 'node:zlib'"],
  ['protocols/grpc/x.ts', "import { x } from '@grpc/grpc-js/build/src/x.js'"],
  ['examples/x.ts', "import { createBroker } from 'glasspost'"],
  ['examples/x.ts', "import { Producer } from 'rocketmq-client-nodejs'"],
  ['examples/x.ts', 'console.log(Date.now())'],
  ['model/x.ts', "const body = Buffer.from('text')"],
  ['index.ts', "import { LevelPlace } from './storage/level/level-place.ts'"],
  ['actors/system/xstate-clock.ts', 'setTimeout: (task, ms) => clock.after(ms, task),'],
  ['actors/x.ts', '/** Unlike Date.now, this one is passed in. */'],
  ['actors/x.ts', 'const at = new Date(clock.wallMs())'],
  ['actors/x.ts', `const text = '${long}'`],
  ['actors/x.ts', `// https://example.com/${'x'.repeat(100)}`],
  ['spec/x.spec.ts', "const X = suite('x')\nX.run()"],
  ['spec/x.spec.ts', 'setTimeout(x, Date.now())'],
] satisfies [string, string][]) {
  Tidy(`allows in ${path}: ${text.slice(0, 60)}`, () => assert.is(problems(path, text), 0))
}

Tidy('remarks on long files without failing them', () => {
  const source = { path: 'actors/x.ts', text: 'x\n'.repeat(301) }
  assert.is(remarksOn(source).length, 1)
  assert.is(problemsIn(source).length, 0)
})

Tidy.run()
