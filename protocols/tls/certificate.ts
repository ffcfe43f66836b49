import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { BrokerError } from '../../model/errors.ts'

/** A certificate chain and its private key, PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

const refuse = (file: string, reason: string, cause?: unknown) =>
  new BrokerError('CERTIFICATE_ILLEGAL', { file, reason }, { cause })

const read = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((error: unknown) => {
    throw refuse(file, (error as Error).message, error)
  })

const parsed = <Value>(file: string, what: string, parse: () => Value): Value => {
  try {
    return parse()
  } catch (error) {
    throw refuse(file, `it holds no ${what}`, error)
  }
}

/** When a certificate begins and ceases to be valid, in ms of wall time. */
export const validityOf = (cert: string): { readonly fromMs: number; readonly untilMs: number } => {
  const { validFrom, validTo } = new X509Certificate(cert)
  return { fromMs: Date.parse(validFrom), untilMs: Date.parse(validTo) }
}

/**
 * Reads a certificate and its key. Throws `CERTIFICATE_ILLEGAL` when either is missing or
 * unreadable, when they do not belong together, or when the certificate is not valid at `nowMs`.
 */
export const readCertificate = async (
  { certFile, keyFile }: CertificateFiles,
  nowMs: number,
): Promise<Certificate> => {
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)])
  const x509 = parsed(certFile, 'PEM certificate', () => new X509Certificate(cert))
  const privateKey = parsed(keyFile, 'unencrypted PEM key', () => createPrivateKey(key))
  if (!x509.checkPrivateKey(privateKey))
    throw refuse(certFile, `the key of ${keyFile} is another one's`)
  const { fromMs, untilMs } = validityOf(cert)
  if (nowMs < fromMs) throw refuse(certFile, `it is valid from ${x509.validFrom} on`)
  if (nowMs >= untilMs) throw refuse(certFile, `it was valid until ${x509.validTo}`)
  return { cert, key }
}
