const BYTES_KNOWN_MAX = 2 ** 30

type Headers = Readonly<Record<string, string>>

/** Errors that the client tries again. */
const broken = (reason: string): Error =>
  Object.assign(new Error(reason), { name: 'BrokenAnswer', $retryable: {} })

/** The body of an answer as it comes in, at once in its place where its length was said. */
export class Received {
  readonly #whole: Buffer | undefined
  readonly #chunks: Buffer[] = []
  #length = 0

  constructor({ 'content-length': text }: Headers) {
    const length = Number(text ?? Number.NaN)
    if (length <= BYTES_KNOWN_MAX) this.#whole = Buffer.allocUnsafeSlow(length)
  }

  add(chunk: Buffer): void {
    if (this.#whole === undefined) this.#chunks.push(chunk)
    else chunk.copy(this.#whole, this.#length)
    this.#length += chunk.length
  }

  bytes(): Buffer {
    if (this.#whole === undefined) return Buffer.concat(this.#chunks)
    if (this.#whole.length !== this.#length)
      throw broken(`the answer has ${this.#length} of ${this.#whole.length} bytes`)
    return this.#whole
  }

  /** An answer to a range may end where the object ends, and nowhere else. */
  expectRange(asked: string, { status, headers }: { status: number; headers: Headers }): void {
    const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(asked)?.map(Number) ?? []
    const given = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '')?.map(Number)
    if (status !== 206 || given === undefined || from === undefined || last === undefined)
      throw broken(`the answer to ${asked} is no range (status ${status})`)
    const [, givenFrom, givenLast = 0, size = 0] = given
    const length = givenLast - from + 1
    if (givenFrom !== from || givenLast !== Math.min(last, size - 1) || length !== this.#length)
      throw broken(
        `the answer to ${asked} has ${this.#length} bytes of '${headers['content-range']}'`,
      )
  }
}
