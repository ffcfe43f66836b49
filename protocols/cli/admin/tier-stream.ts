import type { TierStep } from '../../../model/tier/tier-admin.ts'
import type { TierDone, TierLine } from '../../../model/tier/tier-lines.ts'
import { type AdminClient, RefusedError, UnreachableError } from './client.ts'

export interface FetchedObject {
  readonly key: string
  readonly content: Uint8Array
}

type Step = TierStep & { readonly content: Uint8Array }

interface Asked {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly query?: { readonly topic: string | undefined }
  /** Whether every step is followed by the bytes of its object. */
  readonly hasContent?: boolean
}

const LF = 10
const none = new Uint8Array()

/**
 * Steps of long work on the tier as they come; returns how it ended. Throws what the broker says
 * that failed in the middle, and `UnreachableError` when the end is missing.
 */
export async function* tierSteps(
  client: AdminClient,
  { path, hasContent = false, ...call }: Asked,
): AsyncGenerator<Step, TierDone> {
  const reader = new FrameReader(await client.stream(path, call))
  for (let text = await reader.line(); text !== undefined; text = await reader.line()) {
    const line = JSON.parse(text) as TierLine
    if (line.type === 'done') return line
    if (line.type === 'failed') throw new RefusedError(line.kind, line)
    const content = hasContent ? await reader.take(line.bytes) : none
    if (content === undefined) break
    yield { ...line, content }
  }
  throw new UnreachableError(client.url, 'the answer was cut off')
}

/** Lines and runs of bytes in turn. */
class FrameReader {
  readonly #parts: AsyncIterator<Uint8Array>
  #rest: Buffer = Buffer.alloc(0)

  constructor(parts: AsyncIterable<Uint8Array>) {
    this.#parts = parts[Symbol.asyncIterator]()
  }

  /** Without its end; undefined when there is no whole one. */
  async line(): Promise<string | undefined> {
    for (let at = this.#rest.indexOf(LF); ; at = this.#rest.indexOf(LF)) {
      if (at >= 0) return this.#cut(at + 1).toString('utf8', 0, at)
      const part = await this.#next()
      if (part === undefined) return undefined
      this.#rest = Buffer.concat([this.#rest, part])
    }
  }

  async take(bytes: number): Promise<Uint8Array | undefined> {
    const parts = [this.#rest]
    let held = this.#rest.length
    while (held < bytes) {
      const part = await this.#next()
      if (part === undefined) return undefined
      parts.push(Buffer.from(part))
      held += part.length
    }
    this.#rest = Buffer.concat(parts)
    return this.#cut(bytes)
  }

  #cut(bytes: number): Buffer {
    const cut = this.#rest.subarray(0, bytes)
    this.#rest = this.#rest.subarray(bytes)
    return cut
  }

  async #next(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#parts.next()
    return done === true ? undefined : value
  }
}
