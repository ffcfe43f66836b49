export { databaseContract, type DatabaseSetting } from './database.contract.ts'
export { placeContract, type PlaceSetting } from './place.contract.ts'
