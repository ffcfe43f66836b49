import { type Filter, tagFilter } from './filter.ts'
import { sqlFilter } from './sql92/sql-filter.ts'

const ENTRIES_MAX = 1_000
const CHARACTERS_MAX = 1 << 20

/**
 * Filters by their expression, so that one is compiled once and not with every receive. Bounded:
 * what was not used for longest is forgotten, and compiled anew when it is asked for again.
 */
export class Filters {
  readonly #filters = new Map<string, Filter>()
  readonly #entriesMax: number
  readonly #charactersMax: number
  #characters = 0

  constructor({ entriesMax = ENTRIES_MAX, charactersMax = CHARACTERS_MAX } = {}) {
    this.#entriesMax = entriesMax
    this.#charactersMax = charactersMax
  }

  get size(): number {
    return this.#filters.size
  }

  /** `*` or nothing for all, or tags joined by `||`. */
  byTags(expression: string): Filter {
    return this.#find(`tags:${expression}`, () => tagFilter(expression))
  }

  bySql(expression: string): Filter {
    return this.#find(`sql:${expression}`, () => sqlFilter(expression))
  }

  #find(key: string, compile: () => Filter): Filter {
    const known = this.#filters.get(key)
    if (known !== undefined) {
      this.#filters.delete(key)
      this.#filters.set(key, known)
      return known
    }
    const filter = compile()
    if (key.length > this.#charactersMax) return filter
    this.#filters.set(key, filter)
    this.#characters += key.length
    for (const [oldest] of this.#filters) {
      if (!this.#isOver) break
      this.#filters.delete(oldest)
      this.#characters -= oldest.length
    }
    return filter
  }

  get #isOver(): boolean {
    return this.#filters.size > this.#entriesMax || this.#characters > this.#charactersMax
  }
}
