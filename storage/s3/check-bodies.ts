import { createHash } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import { Payload } from './payload.ts'

interface Outgoing {
  readonly body?: unknown
  readonly headers: Record<string, string>
}

/**
 * Gives every body the headers by which a server checks it: Content-MD5, which all of them know,
 * and the hash that is signed, worked out before so that the client does not do it in one go.
 */
export const checkBodies = (client: S3Client): void =>
  client.middlewareStack.add(
    (next) => (args) => {
      addChecks(args.request as Outgoing)
      return next(args)
    },
    { step: 'build', name: 'checkBodies' },
  )

const addChecks = ({ body, headers }: Outgoing): void => {
  if (body instanceof Payload) {
    headers['content-length'] = String(body.bytes)
    headers['content-md5'] = body.hashes?.md5 ?? ''
    headers['x-amz-content-sha256'] = body.hashes?.sha256 ?? 'UNSIGNED-PAYLOAD'
  } else if (typeof body === 'string' || body instanceof Uint8Array)
    headers['content-md5'] = createHash('md5').update(body).digest('base64')
}
