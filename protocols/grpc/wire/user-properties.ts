import { encodeProperties } from '../../../model/message/properties-block.ts'
import { checkPropertyEntry, checkPropertySizes } from '../../../model/message/rules.ts'
import { type Cursor, varintSize } from '../../../model/wire/varint.ts'
import { nested, readTag, strictText } from './primitives.ts'

// map<string, string> user_properties = 2, on the wire: one field 2 per entry,
// message Entry { string key = 1; string value = 2; }
const KEY = (1 << 3) | 2
const VALUE = (2 << 3) | 2

const EMPTY = Buffer.alloc(0)

/** A text field with a one-byte tag, in bytes. */
const fieldSize = (size: number): number => 1 + varintSize(size) + size

/**
 * The user properties of one message. Entries that lie side by side in the usual form, as all
 * official clients write them, become the `properties` block as one slice of the request;
 * any other form is written anew. Values are checked on their bytes, without making texts.
 */
export class UserProperties {
  readonly #request: Buffer
  /** Of each entry: first byte and end of its key, first byte and end of its value. */
  readonly #spans: number[] = []
  #isRegular = true
  #start = 0
  #end = 0
  count = 0
  bytes = 0

  constructor(request: Buffer) {
    this.#request = request
  }

  /** Reads an entry whose field, tag included, begins at `fieldStart`. */
  read(fieldStart: number, entry: Cursor): void {
    const entryStart = entry.at
    let keyStart = 0
    let keyEnd = 0
    let valueStart = 0
    let valueEnd = 0
    let isInOrder = true
    for (let index = 0; !entry.done; index++) {
      const tag = readTag(entry)
      if (tag !== (index === 0 ? KEY : VALUE)) isInOrder = false
      if (tag === KEY) {
        const text = nested(entry)
        keyStart = text.at
        keyEnd = text.end
      } else if (tag === VALUE) {
        const text = nested(entry)
        valueStart = text.at
        valueEnd = text.end
      } else entry.skip(tag & 7)
    }
    const size = entry.end - entryStart
    const isUsual =
      isInOrder &&
      size === fieldSize(keyEnd - keyStart) + fieldSize(valueEnd - valueStart) &&
      entryStart - fieldStart === 1 + varintSize(size)
    this.#spans.push(keyStart, keyEnd, valueStart, valueEnd)
    this.#check(keyStart, keyEnd, valueStart, valueEnd)
    this.#place(fieldStart, entry.end, isUsual)
  }

  block(): Buffer {
    if (this.count === 0) return EMPTY
    if (this.#isRegular) return this.#request.subarray(this.#start, this.#end)
    const entries: [string, string][] = []
    for (let at = 0; at < this.#spans.length; at += 4)
      entries.push([this.#text(at), this.#text(at + 2)])
    return encodeProperties(Object.fromEntries(entries))
  }

  #text(span: number): string {
    const [start, end] = [this.#spans[span] as number, this.#spans[span + 1] as number]
    return strictText(this.#request, start, end)
  }

  #check(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    this.count++
    this.bytes += keyEnd - keyStart + (valueEnd - valueStart)
    checkPropertySizes(this.count, this.bytes)
    const key = strictText(this.#request, keyStart, keyEnd)
    // Printable ASCII breaks no rule of a value; only the rest is worth a text.
    const isPlain = this.#isPlain(valueStart, valueEnd)
    checkPropertyEntry(key, isPlain ? '' : strictText(this.#request, valueStart, valueEnd))
  }

  #isPlain(start: number, end: number): boolean {
    for (let at = start; at < end; at++) {
      const byte = this.#request[at] as number
      if (byte < 0x20 || byte > 0x7e) return false
    }
    return true
  }

  #place(start: number, end: number, isUsual: boolean): void {
    if (this.count === 1) this.#start = start
    else if (start !== this.#end) this.#isRegular = false
    if (!isUsual) this.#isRegular = false
    this.#end = end
  }
}
