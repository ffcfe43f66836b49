export const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
/** Where the halves of a 64-bit number lie. */
export const LOW_WORD = isLittleEndian ? 0 : 1
export const HIGH_WORD = 1 - LOW_WORD

/** So many are sorted in one step: about 5 ms. */
const STEP_NAMES = 65_536

interface Stretch {
  readonly from: number
  readonly to: number
  /** The first bit in which its names may differ, the highest being 63. */
  readonly bit: number
}

/**
 * Sorts 64-bit numbers, given as pairs of words, where they lie. Many are parted bit by bit, so
 * that no step, after each of which it yields, takes longer than one look at all of them.
 */
export function* sortNames(words: Uint32Array): Generator<void> {
  const stretches: Stretch[] = [{ from: 0, to: words.length / 2, bit: 63 }]
  for (let stretch = stretches.pop(); stretch !== undefined; stretch = stretches.pop()) {
    const { from, to, bit } = stretch
    if (to - from <= STEP_NAMES || bit < 0)
      new BigUint64Array(words.buffer, words.byteOffset + from * 8, to - from).sort()
    else {
      const middle = part(words, stretch)
      stretches.push({ from: middle, to, bit: bit - 1 }, { from, to: middle, bit: bit - 1 })
    }
    yield
  }
}

/** Moves those without the bit before those with it. Returns where the latter begin. */
const part = (words: Uint32Array, { from, to, bit }: Stretch): number => {
  const half = bit < 32 ? LOW_WORD : HIGH_WORD
  const mask = 1 << (bit % 32)
  let low = from
  let high = to - 1
  for (;;) {
    while (low <= high && ((words[low * 2 + half] as number) & mask) === 0) low++
    while (low <= high && ((words[high * 2 + half] as number) & mask) !== 0) high--
    if (low > high) return low
    swap(words, low * 2, high * 2)
  }
}

const swap = (words: Uint32Array, one: number, other: number): void => {
  const first = words[one] as number
  const second = words[one + 1] as number
  words[one] = words[other] as number
  words[one + 1] = words[other + 1] as number
  words[other] = first
  words[other + 1] = second
}
