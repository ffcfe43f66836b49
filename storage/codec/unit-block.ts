/**
 * ConsumeQueue units, packed as they lie in the index: 128 to a block, 24 bytes each, big endian:
 * chunk offset u64 · position in the chunk u32 · record bytes u32 · tag code u32 · group hash u32.
 * A unit of 0 record bytes is absent.
 */
export const UNIT_BYTES = 24
export const BLOCK_UNITS = 128

const TWO_32 = 0x1_0000_0000

export interface Unit {
  readonly chunk: number
  readonly at: number
  readonly size: number
  readonly tagsCode: number
  readonly groupHash: number
}

export const putUnit = (block: Buffer, index: number, unit: Unit): void => {
  const at = index * UNIT_BYTES
  block.writeUInt32BE(Math.floor(unit.chunk / TWO_32), at)
  block.writeUInt32BE(unit.chunk % TWO_32, at + 4)
  block.writeUInt32BE(unit.at, at + 8)
  block.writeUInt32BE(unit.size, at + 12)
  block.writeUInt32BE(unit.tagsCode, at + 16)
  block.writeUInt32BE(unit.groupHash, at + 20)
}

export const unitChunk = (block: Buffer, index: number): number =>
  block.readUInt32BE(index * UNIT_BYTES) * TWO_32 + block.readUInt32BE(index * UNIT_BYTES + 4)
export const unitAt = (block: Buffer, index: number): number =>
  block.readUInt32BE(index * UNIT_BYTES + 8)
export const unitSize = (block: Buffer, index: number): number =>
  block.readUInt32BE(index * UNIT_BYTES + 12)
export const unitTagsCode = (block: Buffer, index: number): number =>
  block.readUInt32BE(index * UNIT_BYTES + 16)
export const unitGroupHash = (block: Buffer, index: number): number =>
  block.readUInt32BE(index * UNIT_BYTES + 20)

export const readUnit = (block: Buffer, index: number): Unit => ({
  chunk: unitChunk(block, index),
  at: unitAt(block, index),
  size: unitSize(block, index),
  tagsCode: unitTagsCode(block, index),
  groupHash: unitGroupHash(block, index),
})
