import { systemClock } from '../../index.ts'
import { S3ObjectStore, type S3ObjectStoreOptions } from '../../storage/s3/s3-object-store.ts'
import { S3_BUCKET, S3_CREDENTIALS } from './s3-server.ts'

/** A store on an S3 server of a spec. */
export const s3StoreOn = (
  { endpoint }: { readonly endpoint: string },
  options: Partial<S3ObjectStoreOptions> = {},
): S3ObjectStore =>
  new S3ObjectStore(
    { clock: systemClock },
    {
      ...{ bucket: S3_BUCKET, endpoint, region: 'us-east-1', forcePathStyle: true },
      ...{ credentials: S3_CREDENTIALS, ...options },
    },
  )
