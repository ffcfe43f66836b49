import { MemoryPlace } from '../../storage/memory/memory-place.ts'
import { databaseContract } from '../contracts/database.contract.ts'
import { placeContract } from '../contracts/place.contract.ts'
import { seededRandom } from '../support/random.ts'

let seed = 0
const aPlace = () => new MemoryPlace({ random: seededRandom(seed++) })

databaseContract('memory', async () => {
  const place = aPlace()
  return { openDatabase: () => place.openDatabase('index'), discard: () => place.close() }
})

placeContract('memory', async () => {
  const place = aPlace()
  return { openPlace: async () => place, discard: () => place.close() }
})
