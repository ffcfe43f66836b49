import { createHash } from 'node:crypto'
import type { Clock } from '../../model/ports.ts'

/** Hashed or sent in one go: a millisecond or two. */
export const SLICE_BYTES = 512 * 1024

export interface PayloadHashes {
  /** Base64, as the header Content-MD5 has it. */
  readonly md5: string
  /** Hex, or nothing where nobody asks for it. */
  readonly sha256: string | undefined
}

/**
 * The body of a request: somebody's bytes, neither copied nor held as one piece. The S3 client
 * takes it for what it cannot look into; `S3Wire` sends it, anew for every try.
 */
export class Payload {
  readonly bytes: number
  readonly #parts: readonly Uint8Array[]
  #hashes: PayloadHashes | undefined

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts
    this.bytes = parts.reduce((sum, part) => sum + part.length, 0)
  }

  *slices(): Generator<Uint8Array> {
    for (const part of this.#parts)
      for (let from = 0; from < part.length; from += SLICE_BYTES)
        yield part.subarray(from, from + SLICE_BYTES)
  }

  /** The bytes of `[from, to)` as a payload of its own. */
  range(from: number, to: number): Payload {
    let at = 0
    const parts = this.#parts.flatMap((part) => {
      const begin = at
      at += part.length
      if (at <= from || begin >= to) return []
      return [part.subarray(Math.max(0, from - begin), Math.min(part.length, to - begin))]
    })
    return new Payload(parts)
  }

  get hashes(): PayloadHashes | undefined {
    return this.#hashes
  }

  /** Slice by slice with pauses, so that nobody else waits for it. */
  async hash({ soon }: Pick<Clock, 'soon'>, { withSha256 }: { withSha256: boolean }) {
    const md5 = createHash('md5')
    const sha256 = withSha256 ? createHash('sha256') : undefined
    const breathe = breathing({ soon })
    for (const slice of this.slices()) {
      md5.update(slice)
      sha256?.update(slice)
      await breathe(slice.length)
    }
    this.#hashes = { md5: md5.digest('base64'), sha256: sha256?.digest('hex') }
  }
}

/** A pause for everybody else whenever so many bytes were worked through. */
export const breathing = ({ soon }: Pick<Clock, 'soon'>): ((bytes: number) => Promise<void>) => {
  let since = 0
  return async (bytes) => {
    since += bytes
    if (since < SLICE_BYTES) return
    since = 0
    await new Promise<void>((resolve) => soon(resolve))
  }
}
