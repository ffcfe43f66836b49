import { encodeProperties } from '../../../model/message/properties-block.ts'
import { checkPropertyEntry, checkPropertySizes } from '../../../model/message/rules.ts'
import { varintSize } from '../../../model/wire/varint.ts'
import { strictText, type Walk } from './walk.ts'

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
  /** Of each entry: first byte and end of its key, first byte and end of its value. */
  readonly #spans: number[] = []
  #isRegular = true
  #start = 0
  #end = 0
  count = 0
  bytes = 0

  /** Reads the entry that the walk has entered; its field, tag included, began at `fieldStart`. */
  read(walk: Walk, fieldStart: number): void {
    const entryStart = walk.at
    let keyStart = 0
    let keyEnd = 0
    let valueStart = 0
    let valueEnd = 0
    let isInOrder = true
    for (let index = 0; walk.at < walk.end; index++) {
      const tag = walk.tag()
      if (tag !== (index === 0 ? KEY : VALUE)) isInOrder = false
      if (tag === KEY) {
        keyEnd = walk.valueEnd()
        keyStart = walk.at
        walk.at = keyEnd
      } else if (tag === VALUE) {
        valueEnd = walk.valueEnd()
        valueStart = walk.at
        walk.at = valueEnd
      } else walk.skip(tag & 7)
    }
    const size = walk.end - entryStart
    const isUsual =
      isInOrder &&
      size === fieldSize(keyEnd - keyStart) + fieldSize(valueEnd - valueStart) &&
      entryStart - fieldStart === 1 + varintSize(size)
    this.#spans.push(keyStart, keyEnd, valueStart, valueEnd)
    this.#place(fieldStart, walk.end, isUsual)
    this.#check(walk, keyStart, keyEnd, valueStart, valueEnd)
  }

  block(request: Buffer): Buffer {
    if (this.count === 0) return EMPTY
    if (this.#isRegular) return request.subarray(this.#start, this.#end)
    const text = (span: number) =>
      strictText(request, this.#spans[span] as number, this.#spans[span + 1] as number)
    const entries: [string, string][] = []
    for (let at = 0; at < this.#spans.length; at += 4) entries.push([text(at), text(at + 2)])
    return encodeProperties(Object.fromEntries(entries))
  }

  #place(start: number, end: number, isUsual: boolean): void {
    if (this.count === 0) this.#start = start
    else if (start !== this.#end) this.#isRegular = false
    if (!isUsual) this.#isRegular = false
    this.#end = end
  }

  #check(walk: Walk, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    this.count++
    this.bytes += keyEnd - keyStart + (valueEnd - valueStart)
    checkPropertySizes(this.count, this.bytes)
    const key = strictText(walk.bytes, keyStart, keyEnd)
    // Printable ASCII breaks no rule of a value; only the rest is worth a text.
    const isPlain = walk.isPlain(valueStart, valueEnd)
    checkPropertyEntry(key, isPlain ? '' : strictText(walk.bytes, valueStart, valueEnd))
  }
}
