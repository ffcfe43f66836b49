import { objectStoreContract } from '../../contracts/object-store.contract.ts'
import { openS3Server } from '../../support/s3-server.ts'
import { s3StoreOn } from '../../support/s3-store.ts'

const MIB = 1024 * 1024
const pages = { pageKeys: 100, singleBytesMax: 6 * MIB, partBytes: 5 * MIB }

const settingWith = (prefix: string) => async () => {
  const server = await openS3Server()
  return {
    openStore: async (options: object) => s3StoreOn(server, { ...pages, ...options, prefix }),
    discard: () => server.close(),
  }
}

objectStoreContract('S3, a server in this process', settingWith('tiers/one'), { manyKeys: 1_205 })
objectStoreContract('S3 without a prefix', settingWith(''), { manyKeys: 105 })
