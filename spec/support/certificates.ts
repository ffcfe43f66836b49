import { generate } from 'selfsigned'
import type { Certificate } from '../../protocols/tls/certificate.ts'

const DAY_MS = 24 * 3_600_000

/** A certificate of `localhost` and 127.0.0.1, valid from yesterday for so many days. */
export const aCertificate = async ({ days = 30, name = 'spec' } = {}): Promise<Certificate> => {
  const notBeforeDate = new Date(Date.now() - DAY_MS)
  const pems = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate,
    notAfterDate: new Date(notBeforeDate.getTime() + days * DAY_MS),
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  return { cert: pems.cert, key: pems.private }
}
