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

  /**
   * An answer to a range may end where the object ends, and nowhere else. Of `bytes=0-` a server
   * may make the whole object.
   */
  expectRange(asked: string, { status, headers }: { status: number; headers: Headers }): void {
    const [, from = '', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(asked) ?? []
    if (status === 200 && from === '0' && last === '') return
    const told = headers['content-range'] ?? ''
    const given = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(told)?.map(Number)
    if (status !== 206 || given === undefined)
      throw broken(`the answer to ${asked} is no range (status ${status})`)
    const [, givenFrom = 0, givenLast = 0, size = 0] = given
    const wantedLast = Math.min(last === '' ? Number.POSITIVE_INFINITY : Number(last), size - 1)
    const isAsAsked = givenFrom === Number(from) && givenLast === wantedLast
    if (!isAsAsked || givenLast - givenFrom + 1 !== this.#length)
      throw broken(`the answer to ${asked} has ${this.#length} bytes of '${told}'`)
  }
}
