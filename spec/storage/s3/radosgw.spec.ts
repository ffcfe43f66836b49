import { randomBytes } from 'node:crypto'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { objectStoreContract } from '../../contracts/object-store.contract.ts'
import { s3StoreOn } from '../../support/s3-store.ts'
const endpoint = 'http://127.0.0.1:7480'
const credentials = { accessKeyId: 'AKTEST', secretAccessKey: 'SKTEST' }
const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials })
await client.send(new CreateBucketCommand({ Bucket: 'history' }))
client.destroy()
objectStoreContract('S3, radosgw', async () => {
  const prefix = randomBytes(8).toString('hex')
  return {
    openStore: async (options: object) =>
      s3StoreOn(
        { endpoint },
        {
          credentials,
          prefix,
          pageKeys: 100,
          singleBytesMax: 6e6,
          partBytes: 5 * 1024 * 1024,
          ...options,
        },
      ),
    discard: async () => {},
  }
})
