export { databaseContract, type DatabaseSetting } from './database.contract.ts'
export {
  objectStoreContract,
  type ObjectStoreContractOptions,
  type ObjectStoreSetting,
} from './object-store.contract.ts'
export { placeContract, type PlaceSetting } from './place.contract.ts'
