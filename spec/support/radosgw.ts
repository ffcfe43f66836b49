import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { S3_BUCKET } from './s3-server.ts'
import { eventually } from './waiting.ts'

const STEP_MS = 60_000
const READY_MS = 60_000

export interface RadosGateway {
  readonly endpoint: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Ends the gateway alone: an outage that loses nothing. */
  stop(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

const programs = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'ceph-authtool']

/** What is missing on this machine to run one; on Debian the packages are in the message. */
export const radosgwMissing = async (): Promise<string | undefined> => {
  const found = await Promise.all(
    programs.map((name) =>
      promisify(execFile)('sh', ['-c', `command -v ${name}`]).then(
        () => true,
        () => false,
      ),
    ),
  )
  const missing = programs.filter((_, index) => !found[index])
  if (missing.length === 0) return undefined
  return `${missing.join(', ')} (apt-get install radosgw ceph-mon ceph-osd ceph-common ceph-base)`
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const frontendOf = ({ port, tls }: { port: number; tls: string | undefined }): string => {
  const endpoint = `endpoint=127.0.0.1:${port}`
  return tls === undefined ? endpoint : `ssl_${endpoint} ssl_certificate=${tls}`
}

/** One monitor, one store in memory and the gateway: all that the gateway needs to be real. */
const configOf = (at: {
  folder: string
  fsid: string
  monitorPort: number
  port: number
  tls: string | undefined
}) => `
[global]
fsid = ${at.fsid}
mon host = v2:127.0.0.1:${at.monitorPort}
public addr = 127.0.0.1
ms bind msgr1 = false
keyring = ${at.folder}/keyring
run dir = ${at.folder}/run
admin socket = ${at.folder}/run/$name.asok
pid file = ${at.folder}/run/$name.pid
log file = ${at.folder}/log/$name.log
mon data = ${at.folder}/mon
osd data = ${at.folder}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
mon data avail warn = 2
mon data avail crit = 1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
[client.rgw]
rgw data = ${at.folder}/rgw
rgw frontends = beast ${frontendOf(at)}
rgw enable usage log = false
`

class Daemons {
  readonly #running = new Map<string, ChildProcess>()
  readonly #killAll = (): void => {
    for (const child of this.#running.values()) child.kill('SIGKILL')
  }

  constructor() {
    process.on('exit', this.#killAll)
  }

  start(name: string, parameters: readonly string[]): void {
    this.#running.set(name, spawn(name, ['-f', ...parameters], { stdio: 'ignore' }))
  }

  async kill(name: string): Promise<void> {
    const child = this.#running.get(name)
    this.#running.delete(name)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async killAll(): Promise<void> {
    for (const name of [...this.#running.keys()]) await this.kill(name)
    process.off('exit', this.#killAll)
  }
}

/**
 * Starts Ceph's S3 gateway on this machine alone, with an empty bucket; it takes about 10 s.
 * With `tls`, a file with a certificate and its key, it speaks https.
 */
export const startRadosgw = async ({ tls }: { tls?: string } = {}): Promise<RadosGateway> => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-rgw-'))
  for (const name of ['mon', 'osd', 'rgw', 'run', 'log']) await mkdir(join(folder, name))
  const fsid = (await readFile('/proc/sys/kernel/random/uuid', 'utf8')).trim()
  const [monitorPort, port] = [await freePort(), await freePort()]
  const config = join(folder, 'ceph.conf')
  await writeFile(config, configOf({ folder, fsid, monitorPort, port, tls }))
  const run = (program: string, ...parameters: string[]) =>
    promisify(execFile)(program, parameters, { timeout: STEP_MS, cwd: folder })
  const configured = ['-c', config]
  const daemons = new Daemons()
  const endpoint = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  const credentials = { accessKeyId: 'AKSPEC', secretAccessKey: 'SKSPEC' }
  const start = async (): Promise<void> => {
    daemons.start('radosgw', [...configured, '-n', 'client.rgw'])
    const answers = () =>
      fetch(endpoint).then(
        ({ ok }) => ok,
        () => false,
      )
    await eventually('the gateway answers', answers, READY_MS)
  }
  const close = async (): Promise<void> => {
    await daemons.killAll()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const keyring = join(folder, 'keyring')
    const all = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *', '--cap', 'mgr', 'allow *']
    await run('ceph-authtool', '--create-keyring', keyring, '--gen-key', '-n', 'mon.', ...all)
    for (const name of ['client.admin', 'client.rgw', 'osd.0'])
      await run('ceph-authtool', keyring, '--gen-key', '-n', name, ...all)
    const map = join(folder, 'monmap')
    const monitor = `[v2:127.0.0.1:${monitorPort}]`
    await run('monmaptool', '--create', '--fsid', fsid, '--addv', 'a', monitor, map)
    const first = ['-i', 'a', '--mkfs', '--monmap', map, '--keyring', keyring]
    await run('ceph-mon', ...configured, ...first)
    daemons.start('ceph-mon', [...configured, '-i', 'a'])
    await run('ceph-osd', ...configured, '-i', '0', '--mkfs', '--osd-uuid', fsid)
    await run('ceph', ...configured, 'osd', 'new', fsid, '0')
    daemons.start('ceph-osd', [...configured, '-i', '0'])
    await run(
      'ceph',
      ...configured,
      'osd',
      'crush',
      'add',
      '0',
      '1',
      'root=default',
      'host=localhost',
    )
    const keys = ['--access-key', credentials.accessKeyId, '--secret', credentials.secretAccessKey]
    const user = ['user', 'create', '--uid=spec', '--display-name=spec', ...keys]
    await run('radosgw-admin', ...configured, ...user)
    await start()
    const client = new S3Client({
      endpoint,
      credentials,
      region: 'us-east-1',
      forcePathStyle: true,
    })
    await client.send(new CreateBucketCommand({ Bucket: S3_BUCKET }))
    client.destroy()
    return { endpoint, credentials, start, stop: () => daemons.kill('radosgw'), close }
  } catch (error) {
    await close()
    throw error
  }
}
