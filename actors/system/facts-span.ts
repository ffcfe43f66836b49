/**
 * Where in the log the facts lie that an owner's state is folded from. What is reclaimed within
 * it is carried forward first; `asOf` is where folding goes on after the last checkpoint.
 */
export class FactsSpan {
  /** Facts before this position are in the checkpoint. */
  asOf = 0
  /** Position of the oldest fact that the state needs; undefined while there is none. */
  anchor: number | undefined
  last = 0

  note(position: number): void {
    this.anchor ??= position
    if (position > this.last) this.last = position
  }

  /** The whole state stands at `position` now; nothing older is needed. */
  restart(position: number): void {
    this.anchor = position
    this.last = Math.max(position, this.last)
  }

  /** True when facts of this owner may lie in `[from, to)`. */
  meets(from: number, to: number): boolean {
    return this.anchor !== undefined && this.anchor < to && this.last >= from
  }
}
