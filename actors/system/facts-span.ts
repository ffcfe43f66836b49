/**
 * Where in the log the facts lie that an owner's state is folded from. What is reclaimed within
 * it is carried forward first; `asOf` is where folding goes on after the last checkpoint.
 */
export class FactsSpan {
  /** Facts before this position are in the checkpoint. */
  asOf = 0
  /** Position of the oldest fact that the state needs; undefined while there is none. */
  anchor: number | undefined
  /** Position of the oldest fact there ever was: a tombstone stays until that is gone, too. */
  first: number | undefined
  last = 0

  note(position: number): void {
    this.anchor ??= position
    this.first ??= position
    if (position > this.last) this.last = position
  }

  /** The whole state stands at `position` now; nothing older is needed. */
  restart(position: number): void {
    this.note(position)
    this.anchor = position
  }

  /** True when facts that the state needs may lie in `[from, to)`. */
  meets(from: number, to: number): boolean {
    return this.anchor !== undefined && this.anchor < to && this.last >= from
  }

  /** True when any facts of this owner may lie in `[from, to)`. */
  touches(from: number, to: number): boolean {
    return this.first !== undefined && this.first < to && this.last >= from
  }

  /** True when all facts of this owner lie in `[from, to)`. */
  isWithin(from: number, to: number): boolean {
    return this.first !== undefined && from <= this.first && this.last < to
  }
}
