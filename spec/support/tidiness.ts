import { join } from 'node:path/posix'

export interface Source {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
}

interface Room {
  readonly imports: readonly string[]
  readonly packages: readonly string[]
  /** Built-in modules of Node: all, or those named. */
  readonly builtins: 'all' | readonly string[]
}

/** Who may import whom. The longest matching prefix is a file's room; a room may import itself. */
const rooms: Readonly<Record<string, Room>> = {
  model: { imports: [], packages: [], builtins: [] },
  machines: { imports: ['model'], packages: ['xstate'], builtins: [] },
  // When the next run of a cron pattern is: a function of pattern and moment, like a chart's.
  'machines/schedules': {
    imports: ['model', 'machines'],
    packages: ['xstate', 'croner'],
    builtins: [],
  },
  streams: { imports: ['model'], packages: ['rxjs'], builtins: [] },
  'storage/ports': { imports: ['model'], packages: [], builtins: 'all' },
  'storage/codec': {
    imports: ['model', 'storage/ports'],
    packages: [],
    builtins: ['node:zlib', 'node:crypto'],
  },
  'storage/log': {
    imports: ['model', 'storage/ports', 'storage/codec'],
    packages: [],
    builtins: 'all',
  },
  // Objects of the tier: their format, and the adapters of their store.
  'storage/tier': {
    imports: ['model', 'storage/ports', 'storage/codec'],
    packages: [],
    builtins: ['node:zlib', 'node:crypto'],
  },
  'storage/s3': {
    imports: ['model', 'storage/ports'],
    packages: ['@aws-sdk/client-s3'],
    builtins: 'all',
  },
  'storage/files': { imports: [], packages: [], builtins: 'all' },
  'storage/directory': {
    imports: ['model', 'storage/ports', 'storage/files'],
    packages: [],
    builtins: 'all',
  },
  'storage/verify': {
    imports: ['model', 'storage/ports', 'storage/codec', 'storage/log'],
    packages: [],
    builtins: [],
  },
  'storage/memory': { imports: ['model', 'storage/ports'], packages: [], builtins: 'all' },
  'storage/crashable': {
    imports: ['model', 'storage/ports', 'storage/memory'],
    packages: [],
    builtins: 'all',
  },
  'storage/level': {
    imports: ['model', 'storage/ports', 'storage/files'],
    packages: ['level'],
    builtins: 'all',
  },
  actors: {
    imports: [
      'model',
      'machines',
      'machines/schedules',
      'streams',
      'storage/ports',
      'storage/codec',
      'storage/log',
      'storage/tier',
      'storage/verify',
    ],
    packages: ['xstate', 'rxjs'],
    builtins: 'all',
  },
  'protocols/wire': { imports: ['model'], packages: [], builtins: 'all' },
  'protocols/grpc': {
    imports: ['model', 'protocols/wire'],
    packages: ['@grpc/grpc-js'],
    builtins: 'all',
  },
  'protocols/embedded': { imports: ['model'], packages: [], builtins: [] },
  'protocols/system': { imports: ['model'], packages: ['pino'], builtins: 'all' },
  'protocols/settings': { imports: ['model'], packages: ['zod'], builtins: 'all' },
  'protocols/cli': {
    imports: ['model', 'protocols/settings'],
    packages: ['commander', 'cli-progress'],
    builtins: 'all',
  },
  'protocols/http': {
    imports: ['model'],
    packages: ['zod', 'hono', '@hono/node-server', '@hono/zod-openapi'],
    builtins: 'all',
  },
  'protocols/accounts': { imports: ['model'], packages: ['zod'], builtins: 'all' },
  'protocols/tls': { imports: ['model'], packages: ['selfsigned'], builtins: 'all' },
  'protocols/metrics': { imports: ['model'], packages: ['prom-client'], builtins: 'all' },
  examples: {
    imports: [],
    packages: ['glasspost', 'rocketmq-client-nodejs', 'uvu'],
    builtins: 'all',
  },
}

/** Every file in these belongs to a room. */
const guarded = ['model', 'machines', 'streams', 'storage', 'actors', 'protocols', 'examples']

/** Programs of users: they print, wait and look at the time as they like. */
const unbanned = ['examples/']

type Ban = readonly [pattern: RegExp, instead: string, exceptIn?: string]

/** Time and chance come in through `Clock` and `Random`, or a failing seed cannot be replayed. */
const bansInCode: readonly Ban[] = [
  [/\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/, 'the injected Clock'],
  [/\bMath\.random\b|\brandomUUID\b|\brandomBytes\b|\bgetRandomValues\b/, 'the injected Random'],
  [
    /\bset(Timeout|Interval|Immediate)\b/,
    'the injected Clock or the timer wheel',
    // Gives the injected Clock the names that XState calls it by.
    'actors/system/xstate-clock.ts',
  ],
  [/\bconsole\./, 'the injected Logger'],
  [/\bas any\b|: any\b|\bany\[\]|<any>/, 'unknown, or a narrower type'],
]
const bansInText: readonly Ban[] = [[/\b(FIXME|XXX|TODO)\b/, 'a fix']]

const COLUMNS_MAX = 100
const LINES_MAX = 300

export const problemsIn = ({ path, text }: Source): string[] => {
  const inLines = text
    .split('\n')
    .flatMap((line, index) =>
      lineProblems(path, line).map((problem) => `${path}:${index + 1}: ${problem}`),
    )
  return [...fileProblems(path, text).map((problem) => `${path}: ${problem}`), ...inLines]
}

/** Long files are worth a look, and sometimes right. */
export const remarksOn = ({ path, text }: Source): string[] => {
  const lines = text.split('\n').length - 1
  return lines > LINES_MAX ? [`${path}: ${lines} lines, more than ${LINES_MAX}`] : []
}

const fileProblems = (path: string, text: string): string[] => {
  const suites = [...text.matchAll(/const (\w+) = suite\(/g)].map(([, name]) => name)
  return [
    ...(isGuarded(path) && roomOf(path) === undefined ? ['belongs to no room'] : []),
    ...(/^\s*\w+\.only\(/m.test(text) ? ['a spec is focused with .only'] : []),
    ...suites
      .filter((name) => !text.includes(`${name}.run()`))
      .map((name) => `suite ${name} is never run`),
  ]
}

const lineProblems = (path: string, line: string): string[] => {
  const code = withoutComment(line)
  const target = /(?<!\.)\b(?:from|import)\s*\(?\s*'([^']+)'/.exec(code)?.[1]
  const importing = target === undefined ? undefined : importProblem(path, target)
  const isBanned = ([pattern, , exceptIn]: Ban, where: string) =>
    isGuarded(path) &&
    path !== exceptIn &&
    !unbanned.some((folder) => path.startsWith(folder)) &&
    pattern.test(where)
  const bans = [
    ...bansInCode.filter((ban) => isBanned(ban, code)),
    ...bansInText.filter((ban) => isBanned(ban, line)),
  ]
  return [
    ...(importing === undefined ? [] : [importing]),
    ...bans.map(([pattern, instead]) => `${pattern.source} is banned, use ${instead}`),
    ...(withoutStrings(line).length > COLUMNS_MAX ? [`longer than ${COLUMNS_MAX} columns`] : []),
  ]
}

const importProblem = (path: string, target: string): string | undefined => {
  const from = roomOf(path)
  const room = from === undefined ? undefined : rooms[from]
  if (from === undefined || room === undefined) return undefined
  if (target.startsWith('node:')) {
    const isAllowed = room.builtins === 'all' || room.builtins.includes(target)
    return isAllowed ? undefined : `${from} may not use '${target}'`
  }
  if (!target.startsWith('.')) {
    const isAllowed = room.packages.some((name) => `${target}/`.startsWith(`${name}/`))
    return isAllowed ? undefined : `${from} may not use '${target}'`
  }
  const to = roomOf(join(path, '..', target))
  if (to === undefined) return `'${target}' belongs to no room`
  return to === from || room.imports.includes(to) ? undefined : `${from} may not import ${to}`
}

const roomOf = (path: string): string | undefined =>
  Object.keys(rooms)
    .filter((room) => path.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0]

const isGuarded = (path: string): boolean => guarded.some((room) => path.startsWith(`${room}/`))

/** The few forms of comments that a formatter leaves; a `//` in a string may hide what follows. */
const withoutComment = (line: string): string =>
  /^\s*(\*|\/\*)/.test(line) ? '' : line.replace(/(^|[^:'"`])\/\/.*$/, '$1')

const withoutStrings = (line: string): string =>
  line.replace(/'[^']*'|"[^"]*"|`[^`]*`?|https?:\/\/\S+/g, '')
