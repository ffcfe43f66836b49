import type { Random } from '../../model/ports.ts'

/** Bytes that look random and depend on the seed alone (mulberry32). */
export const seededRandom = (seed: number): Random => {
  let state = seed | 0
  const nextByte = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 24
  }
  return { bytes: (size) => Uint8Array.from({ length: size }, nextByte) }
}
