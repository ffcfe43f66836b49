import { openS3Server, S3_BUCKET, S3_CREDENTIALS } from '../../spec/support/s3-server.ts'

/** A bucket in a process of its own, so that it takes no turns of the broker's. */
export interface S3Process {
  readonly endpoint: string
  readonly bucket: string
  readonly credentials: typeof S3_CREDENTIALS
}

const server = await openS3Server()
process.send?.({
  endpoint: server.endpoint,
  bucket: S3_BUCKET,
  credentials: S3_CREDENTIALS,
} satisfies S3Process)
process.on('disconnect', () => void server.close())
