/** A value of a settings file and the line that says it, counted from 1. */
export interface FileValue {
  readonly value: unknown
  readonly line: number
}

export interface FileProblem {
  readonly line: number
  readonly reason: string
}

export interface ParsedFile {
  /** Values by path. An object is looked into, unless it is empty; a list is a value. */
  readonly values: ReadonlyMap<string, FileValue>
  readonly problems: readonly FileProblem[]
}

const DEPTH_MAX = 16
const BLANK = /[ \t\r\n]*/y
const SCALAR = /"(?:[^"\\]|\\.)*"|[^\s{}[\]:,"]+/y

/** JSON as the platform reads it, but knowing lines. Platform errors name none, and quote. */
class Reader {
  readonly values = new Map<string, FileValue>()
  readonly problems: FileProblem[] = []
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): void {
    this.#skipBlank()
    if (!this.#takes('{')) throw this.#unexpected('{')
    this.#members('')
    this.#skipBlank()
    if (this.#at < this.#text.length) throw this.#unexpected('the end')
  }

  get line(): number {
    return this.#text.slice(0, this.#at).split('\n').length
  }

  /** What follows a brace that opens, up to the one that closes. */
  #members(prefix: string): void {
    const names = new Set<string>()
    if (prefix.split('.').length > DEPTH_MAX) throw new SyntaxError('it is nested too deeply')
    for (let isFirst = true; !this.#takes('}'); isFirst = false) {
      if (!isFirst && !this.#takes(',')) throw this.#unexpected(', or }')
      this.#skipBlank()
      const { line } = this
      const name = this.#scalar()
      if (typeof name !== 'string') throw new SyntaxError('a name in quotes is expected')
      const path = `${prefix}${name}`
      if (names.has(name)) this.problems.push({ line, reason: `${path} is said twice` })
      names.add(name)
      if (!this.#takes(':')) throw this.#unexpected(':')
      this.#member(path, line)
    }
  }

  #member(path: string, line: number): void {
    const before = this.values.size
    if (!this.#takes('{')) this.values.set(path, { value: this.#value(), line })
    else {
      this.#members(`${path}.`)
      if (this.values.size === before) this.values.set(path, { value: {}, line })
    }
  }

  #value(depth = 0): unknown {
    if (!this.#takes('[')) return this.#scalar()
    if (depth > DEPTH_MAX) throw new SyntaxError('it is nested too deeply')
    const list: unknown[] = []
    while (!this.#takes(']')) {
      if (list.length > 0 && !this.#takes(',')) throw this.#unexpected(', or ]')
      list.push(this.#value(depth + 1))
    }
    return list
  }

  #scalar(): unknown {
    this.#skipBlank()
    SCALAR.lastIndex = this.#at
    const [token] = SCALAR.exec(this.#text) ?? []
    if (token === undefined) throw this.#unexpected('a value')
    try {
      const value: unknown = JSON.parse(token)
      this.#at += token.length
      return value
    } catch {
      throw new SyntaxError('a text in quotes, a number, true or false is expected')
    }
  }

  #takes(sign: string): boolean {
    this.#skipBlank()
    if (this.#text[this.#at] !== sign) return false
    this.#at++
    return true
  }

  #skipBlank(): void {
    BLANK.lastIndex = this.#at
    this.#at += BLANK.exec(this.#text)?.[0].length ?? 0
  }

  #unexpected(expected: string): SyntaxError {
    return new SyntaxError(`${expected} is expected`)
  }
}

/** The values of a JSON object with their lines; what is wrong is told, never thrown. */
export const parseFile = (text: string): ParsedFile => {
  const reader = new Reader(text)
  try {
    reader.read()
  } catch (error) {
    const reason = `this is not JSON: ${(error as SyntaxError).message}`
    reader.problems.push({ line: reader.line, reason })
  }
  return reader
}
