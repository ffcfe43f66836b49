import { createHmac, timingSafeEqual } from 'node:crypto'

const MAC_BYTES = 10

/**
 * Text that only this data directory can have written: base64url of some bytes and a truncated
 * HMAC-SHA256 over them. The first byte says what they are, so that one is not taken for another.
 */
export class Seal {
  readonly #secret: Uint8Array

  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  seal(bytes: Buffer): string {
    return Buffer.concat([bytes, this.#mac(bytes)]).toString('base64url')
  }

  /** The sealed bytes; undefined for anything that this place did not seal. */
  open(text: string): Buffer | undefined {
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.length <= MAC_BYTES || bytes.toString('base64url') !== text) return undefined
    const fields = bytes.subarray(0, bytes.length - MAC_BYTES)
    const isOurs = timingSafeEqual(this.#mac(fields), bytes.subarray(fields.length))
    return isOurs ? fields : undefined
  }

  #mac(fields: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(fields).digest().subarray(0, MAC_BYTES)
  }
}
