import { readFile, writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { brokerDefaults, brokerSettingsOf } from '../../../actors/broker/settings.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { grpcDoorDefaults } from '../../../protocols/grpc/context.ts'
import { brokerTuning } from '../../../protocols/settings/broker-tuning.ts'
import { loadSettings, type SettingsInput } from '../../../protocols/settings/load.ts'
import { type Setting, settingsTable } from '../../../protocols/settings/table.ts'
import { holds } from '../../support/property.ts'

const Settings = suite('settings')

const load = (input: Partial<SettingsInput> = {}) =>
  loadSettings({ environment: {}, flags: {}, ...input })

const fileOf = (text: string) => ({ name: 'glasspost.json', text })

/** What is refused, line by line. */
const problemsOf = (input: Partial<SettingsInput>): readonly string[] => {
  try {
    load(input)
    return []
  } catch (error) {
    if (!isBrokerError(error, 'SETTINGS_REFUSED')) throw error
    return error.params.problems
  }
}

Settings('have the defaults of the broker and of its doors', () => {
  const { settings } = load()
  assert.equal(brokerSettingsOf(brokerTuning(settings)), brokerDefaults)
  const { host: _, port: __, ...limits } = settings.grpc
  assert.equal(limits, grpcDoorDefaults)
  assert.equal([settings.grpc.host, settings.http.host], ['127.0.0.1', '127.0.0.1'])
})

Settings('have one name each in the file, the environment and on the command line', () => {
  for (const name of ['path', 'variable', 'flag'] as const)
    assert.is(new Set(settingsTable.map((setting) => setting[name])).size, settingsTable.length)
  for (const { variable, flag } of settingsTable) {
    assert.match(variable, /^GLASSPOST(_[A-Z][A-Z0-9]*)+$/)
    assert.match(flag, /^-(-[a-z][a-z0-9]*)+$/)
  }
})

Settings('say the unit of every number in its name', () => {
  const units =
    /(Ms|Bytes|Max|Percent|MsBase|MsMax|BytesMax|BytesEnough|PerMonth|PerThousand|bytes|max|port)$/
  for (const { path, otherwise } of settingsTable)
    if (typeof otherwise === 'number') assert.match(path, units, path)
})

/** Two legal values of a setting that are not its default, if it has so many. */
const legalValues = ({ path, otherwise, takes }: Setting): readonly unknown[] => {
  if (typeof otherwise === 'number')
    return [otherwise - 3, otherwise - 7].map((n) => Math.max(n, 2))
  if (typeof otherwise === 'boolean') return [true, false]
  // A bucket would have to be named as well.
  if (path === 'tier') return ['directory', 'off']
  if (takes.startsWith('one of ')) return takes.slice(7).split(', ')
  if (takes === 'host:port') return ['mq.example.org:80', '[::1]:8081']
  if (takes.startsWith('a URL')) return ['http://127.0.0.1:9000', 'https://s3.example.org']
  if (path.endsWith('.host')) return ['127.0.0.2', 'localhost']
  return ['some text of one kind', 'some text of another']
}

interface Assigned {
  readonly setting: Setting
  readonly layer: 'file' | 'environment' | 'flag'
  readonly value: unknown
}

/** Settings that contradict nothing, whatever they are. */
const free = settingsTable.filter(({ path }) => !/^(tls|insecure)/.test(path))
const anAssigned: fc.Arbitrary<Assigned> = fc
  .record({
    setting: fc.constantFrom(...free),
    layer: fc.constantFrom('file', 'environment', 'flag'),
    pick: fc.nat(),
  })
  .map(({ setting, layer, pick }) => {
    const values = legalValues(setting)
    return { setting, layer, value: values[pick % values.length] }
  })

const nestedText = (assigned: readonly Assigned[]): string => {
  const root: Record<string, unknown> = {}
  for (const { setting, value } of assigned) {
    const [first = '', second] = setting.path.split('.')
    if (second === undefined) root[first] = value
    else root[first] = { ...(root[first] as object), [second]: value }
  }
  return JSON.stringify(root, undefined, 2)
}

Settings('are what the strongest layer says, and name its line', () =>
  holds(
    fc.property(fc.array(anAssigned, { maxLength: 12 }), (assigned) => {
      const of = (layer: Assigned['layer']) => assigned.filter((each) => each.layer === layer)
      const text = nestedText(of('file'))
      const environment = Object.fromEntries(
        of('environment').map(({ setting, value }) => [setting.variable, String(value)]),
      )
      const flags = Object.fromEntries(
        of('flag').map(({ setting, value }) => [setting.flag, String(value)]),
      )
      const { sources } = load({ file: fileOf(text), environment, flags })
      for (const setting of settingsTable) {
        const said = (layer: Assigned['layer']) =>
          of(layer).findLast((each) => each.setting === setting)
        const expected = said('flag') ?? said('environment') ?? said('file')
        const source = sources.get(setting.path)
        assert.equal(source?.value, expected?.value ?? setting.otherwise, setting.path)
        if (expected === undefined) assert.is(source?.where, 'default')
        else if (expected.layer === 'flag') assert.is(source?.where, setting.flag)
        else if (expected.layer === 'environment') assert.is(source?.where, setting.variable)
        else {
          const line = Number(/^glasspost\.json:(\d+)$/.exec(source?.where ?? '')?.[1])
          const name = setting.path.split('.').at(-1)
          assert.ok(text.split('\n')[line - 1]?.includes(`"${name}": `), source?.where)
        }
      }
    }),
  ),
)

for (const [what, input, expected] of [
  [
    'an unknown name in the file',
    { file: fileOf('{\n  "grpc": {\n    "prot": 1\n  }\n}') },
    'glasspost.json:3: there is no setting grpc.prot; did you mean grpc.port?',
  ],
  [
    'an unknown section of the file',
    { file: fileOf('{"brokerNames":{}}') },
    'glasspost.json:1: there is no setting brokerNames; did you mean brokerName?',
  ],
  [
    'a section that is a value',
    { file: fileOf('{"grpc": 1}') },
    'glasspost.json:1: there is no setting grpc',
  ],
  [
    'a name said twice',
    { file: fileOf('{"brokerName":"a",\n"brokerName":"b"}') },
    'glasspost.json:2: brokerName is said twice',
  ],
  [
    'a file that is no JSON',
    { file: fileOf('{\n"brokerName": "a"\n"insecure": true}') },
    'glasspost.json:3: this is not JSON: , or } is expected',
  ],
  [
    'a value of another type',
    { file: fileOf('{"grpc":\n{"port":"8081"}}') },
    'glasspost.json:2: grpc.port is "8081": give a whole number from 0 to 65535',
  ],
  [
    'a fraction',
    { flags: { '--disk-warn-at-percent': '7.5' } },
    '--disk-warn-at-percent: disk.warnAtPercent is 7.5: give a whole number from 1 to 99',
  ],
  [
    'a number with its unit',
    { environment: { GLASSPOST_COMMIT_LOG_BYTES_MAX: '64MiB' } },
    'GLASSPOST_COMMIT_LOG_BYTES_MAX: commitLog.bytesMax is "64MiB": give a whole number from',
  ],
  [
    'an unknown variable',
    { environment: { GLASSPOST_DATADIR: 'x' } },
    'GLASSPOST_DATADIR: there is no such setting; did you mean GLASSPOST_DATA_DIR?',
  ],
  [
    'an address without a port',
    { flags: { '--advertised-address': 'mq.example.org' } },
    '--advertised-address: advertisedAddress is "mq.example.org": give host:port',
  ],
  [
    'an address that is no URL',
    { flags: { '--s3-endpoint': 'localhost:9000' } },
    '--s3-endpoint: s3.endpoint is "localhost:9000": give a URL, http:// or https://',
  ],
  [
    'a tier in no bucket',
    { flags: { '--tier': 's3' } },
    '--tier: tier is s3, but no bucket is named',
  ],
  [
    'a short token, without showing it',
    { environment: { GLASSPOST_HTTP_ADMIN_TOKEN: 'hunter2' } },
    'GLASSPOST_HTTP_ADMIN_TOKEN: http.adminToken: give at least 16 characters',
  ],
  [
    'one port for two',
    { flags: { '--http-port': '8081' } },
    '--http-port: gRPC and HTTP cannot both have port 8081',
  ],
  [
    'a warning after the refusal',
    { flags: { '--disk-refuse-at-percent': '70' } },
    '--disk-refuse-at-percent: disk.warnAtPercent must be less than disk.refuseAtPercent',
  ],
  [
    'a certificate without its key',
    { flags: { '--tls-cert-file': 'cert.pem' } },
    '--tls-cert-file: tls.certFile and tls.keyFile need each other',
  ],
  [
    'a certificate that is not used',
    { flags: { '--tls-mode': 'off', '--tls-cert-file': 'c', '--tls-key-file': 'k' } },
    '--tls-mode: a certificate is given, but tls.mode is off',
  ],
  [
    'a limit beyond the one around it',
    { flags: { '--receive-parked-per-key-max': '10', '--receive-parked-max': '9' } },
    '--receive-parked-per-key-max: receive.parkedPerKeyMax is more than receive.parkedMax',
  ],
  [
    'a public gRPC port without accounts',
    { environment: { GLASSPOST_GRPC_HOST: '::' } },
    'GLASSPOST_GRPC_HOST: whoever reaches :: could send and receive',
  ],
  [
    'a public HTTP port without a token',
    { file: fileOf('{"http":{"host":"10.0.0.1"}}') },
    'glasspost.json:1: whoever reaches 10.0.0.1 could administrate',
  ],
] satisfies [string, Partial<SettingsInput>, string][]) {
  Settings(`refuse ${what}, naming the line to change`, () => {
    const problems = problemsOf(input)
    assert.is(problems.length, 1, problems.join('\n'))
    assert.ok(problems[0]?.startsWith(expected), problems[0])
  })
}

Settings('take any free HTTP port beside any free gRPC port, unless one is named', () => {
  const flags = { '--grpc-port': '0' }
  assert.is(load({ flags }).settings.http.port, 0)
  assert.is(load({ flags: { ...flags, '--http-port': '9' } }).settings.http.port, 9)
})

Settings('are refused all at once', () => {
  const environment = { GLASSPOST_GRPC_PORT: 'x', GLASSPOST_NONSENSE_OF_SOME_KIND: '1' }
  assert.is(problemsOf({ environment, file: fileOf('{') }).length, 3)
})

for (const [what, input] of [
  ['a public port with accounts', { flags: { '--host': '0.0.0.0', '--accounts-file': 'a.json' } }],
  ['a public port that was asked for aloud', { flags: { '--host': '::', '--insecure': 'true' } }],
  [
    'a low limit around a default',
    { flags: { '--topics-max': '10', '--receive-parked-max': '5' } },
  ],
  ['two free ports', { flags: { '--grpc-port': '0', '--http-port': '0' } }],
  ['variables of a Kubernetes service', { environment: { GLASSPOST_PORT_8081_TCP: 'tcp://x' } }],
  [
    'variables of the command',
    { environment: { GLASSPOST_URL: 'http://x', GLASSPOST_CONFIG: 'x' } },
  ],
] satisfies [string, Partial<SettingsInput>][]) {
  Settings(`allow ${what}`, () => assert.equal(problemsOf(input), []))
}

/** The table of `docs/settings.md`; `UPDATE_DOCS=1` writes it. */
const settingsDocument = (): string => {
  const shown = ({ otherwise }: Setting) => (otherwise === undefined ? '' : `\`${otherwise}\``)
  const rows = settingsTable.map(
    (setting) =>
      `| \`${setting.path}\` | \`${setting.flag}\` | ${shown(setting)} | ${setting.takes} | ` +
      `${setting.description} |`,
  )
  return [
    '# Settings',
    '',
    'Every setting has one name in the file (`grpc.port` is `port` within `grpc`), as a variable',
    '(`GLASSPOST_GRPC_PORT`) and as a flag. Flags win over variables, variables over the file.',
    '`glasspost config` prints what results and from where. This table is checked by a spec.',
    '',
    '| setting | flag | default | takes | what it is |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

Settings('are documented as they are', async () => {
  const path = 'docs/settings.md'
  if (process.env['UPDATE_DOCS']) await writeFile(path, settingsDocument())
  assert.is(await readFile(path, 'utf8'), settingsDocument(), 'UPDATE_DOCS=1 writes it anew')
})

Settings.run()
