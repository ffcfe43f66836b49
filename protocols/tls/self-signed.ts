import { X509Certificate } from 'node:crypto'
import { access, chmod, mkdir, open, rename } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { isBrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import {
  type Certificate,
  type CertificateFiles,
  readCertificate,
  validityOf,
} from './certificate.ts'

const DAY_MS = 24 * 3_600_000
const VALID_DAYS = 825
/** A new one is made so long before the old one ends. */
const RENEW_BEFORE_MS = 30 * DAY_MS
/** Clocks of clients may be behind. */
const BACKDATED_MS = DAY_MS
/** Addresses that mean every address. */
const UNNAMED: readonly string[] = ['', '0.0.0.0', '::']
const OWNER_ONLY = 0o600
const FOLDER_OF_OWNER = 0o700

export interface SelfSignedOptions {
  /** Where it is kept, created when missing; without it, it lives as long as the process. */
  readonly folder?: string | undefined
  /** Names and IP addresses by which clients reach us. */
  readonly names: readonly string[]
}

/** Names to put into a certificate: each once, this machine's own among them, no wildcards. */
export const ownNames = (names: readonly (string | undefined)[]): string[] => {
  const bare = names.map((name) => name?.replace(/^\[|\]$/g, ''))
  const all = ['localhost', '127.0.0.1', '::1', ...bare]
  return [
    ...new Set(all.filter((name) => name !== undefined && !UNNAMED.includes(name))),
  ] as string[]
}

const isNamed = (cert: string, names: readonly string[]): boolean => {
  const x509 = new X509Certificate(cert)
  return names.every((name) =>
    isIP(name) ? x509.checkIP(name) !== undefined : x509.checkHost(name) !== undefined,
  )
}

/** One that is still good: it lasts, and has all names. */
const kept = async (
  files: CertificateFiles,
  names: readonly string[],
  nowMs: number,
): Promise<Certificate | undefined> => {
  const isThere = await access(files.certFile).then(
    () => true,
    () => false,
  )
  if (!isThere) return undefined
  try {
    const certificate = await readCertificate(files, nowMs)
    const isLasting = validityOf(certificate.cert).untilMs - nowMs > RENEW_BEFORE_MS
    return isLasting && isNamed(certificate.cert, names) ? certificate : undefined
  } catch (error) {
    if (isBrokerError(error, 'CERTIFICATE_ILLEGAL')) return undefined
    throw error
  }
}

const make = async (names: readonly string[], nowMs: number): Promise<Certificate> => {
  const altNames = names.map((name) =>
    isIP(name) ? ({ type: 7, ip: name } as const) : ({ type: 2, value: name } as const),
  )
  const pems = await generate([{ name: 'commonName', value: 'glasspost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(nowMs - BACKDATED_MS),
    notAfterDate: new Date(nowMs + VALID_DAYS * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames },
    ],
  })
  return { cert: pems.cert, key: pems.private }
}

const write = async (path: string, text: string): Promise<void> => {
  const file = await open(`${path}.new`, 'w', OWNER_ONLY)
  try {
    await file.chmod(OWNER_ONLY)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

/** Where a generated certificate is kept. */
const selfSignedFiles = (folder: string): CertificateFiles => ({
  certFile: join(folder, 'cert.pem'),
  keyFile: join(folder, 'key.pem'),
})

/**
 * The certificate of the folder, made when there is none that lasts and has all names. Only the
 * owner can read the key. Clients that verify can be given `cert.pem` as their root.
 */
export const selfSignedCertificate = async (
  { folder, names }: SelfSignedOptions,
  clock: Clock,
): Promise<Certificate & { readonly isNew: boolean }> => {
  const nowMs = clock.wallMs()
  if (folder === undefined) return { ...(await make(names, nowMs)), isNew: true }
  const files = selfSignedFiles(folder)
  const old = await kept(files, names, nowMs)
  if (old !== undefined) return { ...old, isNew: false }
  const made = await make(names, nowMs)
  await mkdir(folder, { recursive: true, mode: FOLDER_OF_OWNER })
  await chmod(folder, FOLDER_OF_OWNER)
  // Should we die in between, the two do not belong together, and are made anew.
  await write(files.keyFile, made.key)
  await write(files.certFile, made.cert)
  return { ...made, isNew: true }
}
