import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import {
  answerThrough,
  errorAnswer,
  type FaultDraw,
  kindOf,
  S3Faults,
  type S3Answer,
  xmlAnswer,
} from './s3-faults.ts'

export interface S3ServerOptions {
  /** Faults by chance from the beginning; `faults` of the server scripts them, too. */
  readonly faults?: FaultDraw
  /** What it makes of If-None-Match: some stores ignore it, others answer 501. */
  readonly conditions?: 'kept' | 'ignored' | 'refused'
  readonly wallMs?: () => number
  /** With a certificate it speaks https. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
}

export interface S3Object {
  readonly body: Buffer
  readonly etag: string
  readonly modifiedMs: number
}

interface S3Upload {
  readonly key: string
  readonly parts: Map<number, { readonly body: Buffer; readonly etag: string }>
}

interface S3Request {
  readonly method: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** The bucket that there is. */
export const S3_BUCKET = 'history'
export const S3_CREDENTIALS = { accessKeyId: 'AKSPEC', secretAccessKey: 'SKSPEC' }

const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest()
const etagOf = (bytes: Uint8Array): string => `"${md5(bytes).toString('hex')}"`

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const unescaped = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')

const valuesOf = (body: Buffer, tag: string): string[] =>
  [...body.toString().matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'g'))].map(([, value = '']) =>
    unescaped(value.replaceAll('&quot;', '"')),
  )

/** As much of S3 as the tier uses, in this process: path style, no look at signatures. */
export class S3Server {
  /** By key, prefix included. */
  readonly objects = new Map<string, S3Object>()
  /** Multipart uploads that were neither completed nor aborted, by id. */
  readonly uploads = new Map<string, S3Upload>()
  /** Keys that removals are refused for. */
  readonly protectedKeys = new Set<string>()
  readonly faults: S3Faults
  readonly bucket = S3_BUCKET
  /** Requests so far. */
  requests = 0
  readonly #conditions: NonNullable<S3ServerOptions['conditions']>
  readonly #wallMs: () => number
  readonly #scheme: 'http' | 'https'
  readonly #server: ReturnType<typeof createServer>
  /** What the last body was signed with: its hash, or that it was not. */
  lastSigned: string | undefined
  #uploadsBegun = 0

  constructor({ faults, conditions = 'kept', wallMs = Date.now, tls }: S3ServerOptions) {
    this.#scheme = tls === undefined ? 'http' : 'https'
    this.#server = tls === undefined ? createServer() : createTlsServer(tls)
    this.faults = new S3Faults(faults)
    this.#conditions = conditions
    this.#wallMs = wallMs
    this.#server.on('request', (request, response) => {
      const url = new URL(request.url ?? '/', 'http://s3')
      const fault = this.faults.strike(kindOf(request.method ?? '', url.searchParams))
      this.requests += 1
      void answerThrough(fault, { request, response }, () => this.#answer(request, url)).catch(() =>
        request.socket.destroy(),
      )
    })
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get endpoint(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, url: URL): Promise<S3Answer> {
    const body = await buffer(request)
    const { headers, method = '' } = request
    const sentMd5 = headers['content-md5']
    if (sentMd5 !== undefined && md5(body).toString('base64') !== sentMd5)
      return errorAnswer(400, 'BadDigest')
    const sent = headers['x-amz-content-sha256']
    if (method === 'PUT') this.lastSigned = String(sent)
    if (sent === undefined || headers.authorization === undefined)
      return errorAnswer(403, 'AccessDenied')
    if (sent !== 'UNSIGNED-PAYLOAD' && sent !== createHash('sha256').update(body).digest('hex'))
      return errorAnswer(400, 'XAmzContentSHA256Mismatch')
    const [, bucket, ...names] = decodeURIComponent(url.pathname).split('/')
    if (bucket !== S3_BUCKET) return errorAnswer(404, 'NoSuchBucket')
    const asked = { method, key: names.join('/'), query: url.searchParams, headers, body }
    return this.#route(asked)
  }

  #route(asked: S3Request): S3Answer {
    const { method, key, query } = asked
    if (key === '') {
      if (query.has('delete')) return this.#delete(asked)
      if (query.has('list-type')) return this.#list(query)
      return { status: 200, headers: {}, body: Buffer.alloc(0) }
    }
    const uploadId = query.get('uploadId')
    if (query.has('uploads')) return this.#beginUpload(key)
    if (uploadId !== null) return this.#continueUpload(uploadId, asked)
    if (method === 'PUT') return this.#put(asked)
    if (method === 'DELETE') {
      this.objects.delete(key)
      return { status: 204, headers: {}, body: Buffer.alloc(0) }
    }
    return this.#get(asked)
  }

  #put({ key, headers, body }: S3Request): S3Answer {
    if (headers['if-none-match'] !== undefined) {
      if (this.#conditions === 'refused') return errorAnswer(501, 'NotImplemented')
      if (this.#conditions === 'kept' && this.objects.has(key))
        return errorAnswer(412, 'PreconditionFailed')
    }
    const etag = etagOf(body)
    this.objects.set(key, { body, etag, modifiedMs: this.#wallMs() })
    return { status: 200, headers: { etag }, body: Buffer.alloc(0) }
  }

  #get({ method, key, headers: { range } }: S3Request): S3Answer {
    const object = this.objects.get(key)
    if (object === undefined)
      return method === 'HEAD'
        ? { status: 404, headers: {}, body: Buffer.alloc(0) }
        : errorAnswer(404, 'NoSuchKey')
    const { body, etag, modifiedMs } = object
    const size = body.length
    const headers = { etag, 'last-modified': new Date(modifiedMs).toUTCString() }
    if (method === 'HEAD')
      return { status: 200, headers: { ...headers, 'content-length': String(size) }, body }
    if (range === undefined) return { status: 200, headers, body }
    const [, from = 0, last = 0] =
      /^bytes=(\d+)-(\d*)$/.exec(range)?.map((text) => (text === '' ? size - 1 : Number(text))) ??
      []
    if (from >= size) return errorAnswer(416, 'InvalidRange')
    const to = Math.min(last + 1, size)
    const contentRange = { 'content-range': `bytes ${from}-${to - 1}/${size}` }
    return { status: 206, headers: { ...headers, ...contentRange }, body: body.subarray(from, to) }
  }

  #list(query: URLSearchParams): S3Answer {
    const prefix = query.get('prefix') ?? ''
    const pageKeys = Math.min(1_000, Number(query.get('max-keys') ?? 1_000))
    const token = query.get('continuation-token') ?? ''
    const after = Buffer.from(token, 'base64url').toString() || (query.get('start-after') ?? '')
    const left = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
    const page = left.slice(0, pageKeys)
    const next = Buffer.from(page.at(-1) ?? '').toString('base64url')
    const contents = page.map((key) => {
      const { body, etag, modifiedMs } = this.objects.get(key) as S3Object
      const modified = new Date(modifiedMs).toISOString()
      return `<Contents><Key>${escaped(key)}</Key><LastModified>${modified}</LastModified><ETag>${
        etag
      }</ETag><Size>${body.length}</Size></Contents>`
    })
    const more = left.length > page.length
    return xmlAnswer(
      `<ListBucketResult><KeyCount>${page.length}</KeyCount><IsTruncated>${more}</IsTruncated>${
        more ? `<NextContinuationToken>${next}</NextContinuationToken>` : ''
      }${contents.join('')}</ListBucketResult>`,
    )
  }

  #delete({ body }: S3Request): S3Answer {
    const keys = valuesOf(body, 'Key')
    if (keys.length > 1_000) return errorAnswer(400, 'MalformedXML')
    const kept = keys.filter((key) => this.protectedKeys.has(key))
    for (const key of keys) if (!this.protectedKeys.has(key)) this.objects.delete(key)
    const errors = kept.map(
      (key) =>
        `<Error><Key>${escaped(key)}</Key><Code>AccessDenied</Code><Message>kept</Message></Error>`,
    )
    return xmlAnswer(`<DeleteResult>${errors.join('')}</DeleteResult>`)
  }

  #beginUpload(key: string): S3Answer {
    const id = `upload-${(this.#uploadsBegun += 1)}`
    this.uploads.set(id, { key, parts: new Map() })
    return xmlAnswer(
      `<InitiateMultipartUploadResult><Bucket>${S3_BUCKET}</Bucket><Key>${escaped(
        key,
      )}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    )
  }

  #continueUpload(id: string, { method, query, body }: S3Request): S3Answer {
    const upload = this.uploads.get(id)
    if (upload === undefined) return errorAnswer(404, 'NoSuchUpload')
    if (method === 'PUT') {
      const etag = etagOf(body)
      upload.parts.set(Number(query.get('partNumber')), { body, etag })
      return { status: 200, headers: { etag }, body: Buffer.alloc(0) }
    }
    if (method === 'DELETE') {
      this.uploads.delete(id)
      return { status: 204, headers: {}, body: Buffer.alloc(0) }
    }
    const etags = valuesOf(body, 'ETag')
    const parts = valuesOf(body, 'PartNumber').map((number) => upload.parts.get(Number(number)))
    if (parts.some((part, index) => part === undefined || part.etag !== etags[index]))
      return errorAnswer(400, 'InvalidPart')
    const whole = Buffer.concat(parts.flatMap((part) => part?.body ?? []))
    const etag = `${etagOf(whole).slice(0, -1)}-${parts.length}"`
    this.objects.set(upload.key, { body: whole, etag, modifiedMs: this.#wallMs() })
    this.uploads.delete(id)
    return xmlAnswer(
      `<CompleteMultipartUploadResult><Bucket>${S3_BUCKET}</Bucket><Key>${escaped(
        upload.key,
      )}</Key><ETag>${escaped(etag)}</ETag></CompleteMultipartUploadResult>`,
    )
  }
}

export const openS3Server = async (options: S3ServerOptions = {}): Promise<S3Server> => {
  const server = new S3Server(options)
  await server.listen()
  return server
}
