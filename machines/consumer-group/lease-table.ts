const CAPACITY_MIN = 16

/**
 * Slots of unacknowledged offsets in typed arrays, sorted by offset: 40 bytes each.
 *
 * Slots are pushed at the tail in growing order and removed anywhere; removed ones are closed
 * up when they are the majority. Slot numbers are valid until the next push or `tidy`.
 */
export class LeaseTable {
  offset = new Float64Array(0)
  deadline = new Float64Array(0)
  session = new Uint32Array(0)
  /** Of the log when the newest lease was granted; 0 while unknown. */
  epoch = new Uint32Array(0)
  /** Hash of the message group + 1; 0 while it was not looked up. */
  groupHash = new Float64Array(0)
  attempt = new Uint16Array(0)
  generation = new Uint16Array(0)
  state = new Uint8Array(0)
  cause = new Uint8Array(0)
  autoRenew = new Uint8Array(0)
  renewals = new Uint8Array(0)
  /** Slots in use are in [head, tail), with removed ones between. */
  head = 0
  tail = 0
  count = 0

  get capacity(): number {
    return this.offset.length
  }

  /** The lowest offset; only while `count` is not 0. */
  get firstOffset(): number {
    return this.offset[this.head] as number
  }

  push(offset: number): number {
    if (this.tail === this.capacity) this.#makeRoom()
    const slot = this.tail++
    this.offset[slot] = offset
    this.deadline[slot] = 0
    this.session[slot] = 0
    this.epoch[slot] = 0
    this.groupHash[slot] = 0
    this.attempt[slot] = 0
    this.generation[slot] = 0
    this.state[slot] = 1
    this.cause[slot] = 0
    this.autoRenew[slot] = 0
    this.renewals[slot] = 0
    this.count++
    return slot
  }

  /** First slot whose offset is not below. */
  lowerBound(offset: number): number {
    let low = this.head
    let high = this.tail
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.offset[middle] as number) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The slot of an offset, or -1 when there is none. */
  find(offset: number): number {
    const slot = this.lowerBound(offset)
    return slot < this.tail && this.offset[slot] === offset && this.state[slot] !== 0 ? slot : -1
  }

  remove(slot: number): void {
    this.state[slot] = 0
    this.count--
  }

  /** Closes up removed slots where that pays. Slot numbers change. */
  tidy(): void {
    while (this.head < this.tail && this.state[this.head] === 0) this.head++
    if (this.count === 0) this.clear()
    else if (this.tail > CAPACITY_MIN && this.count < this.tail / 2) this.#compact()
  }

  clear(): void {
    this.head = 0
    this.tail = 0
    this.count = 0
    if (this.capacity > CAPACITY_MIN * 4) this.#resize(0)
  }

  #makeRoom(): void {
    if (this.count <= this.capacity / 2 && this.capacity > 0) this.#compact()
    else this.#resize(Math.max(CAPACITY_MIN, this.capacity * 2))
  }

  #columns() {
    return [
      this.offset,
      this.deadline,
      this.groupHash,
      this.session,
      this.epoch,
      this.attempt,
      this.generation,
      this.state,
      this.cause,
      this.autoRenew,
      this.renewals,
    ]
  }

  #compact(): void {
    const columns = this.#columns()
    let to = 0
    for (let from = this.head; from < this.tail; from++) {
      if (this.state[from] === 0) continue
      if (to !== from) for (const column of columns) column[to] = column[from] as number
      to++
    }
    this.head = 0
    this.tail = to
  }

  #resize(capacity: number): void {
    const grown = <Column extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(
      column: Column,
      fresh: Column,
    ): Column => {
      if (capacity > 0) fresh.set(column.subarray(0, capacity))
      return fresh
    }
    this.offset = grown(this.offset, new Float64Array(capacity))
    this.deadline = grown(this.deadline, new Float64Array(capacity))
    this.groupHash = grown(this.groupHash, new Float64Array(capacity))
    this.session = grown(this.session, new Uint32Array(capacity))
    this.epoch = grown(this.epoch, new Uint32Array(capacity))
    this.attempt = grown(this.attempt, new Uint16Array(capacity))
    this.generation = grown(this.generation, new Uint16Array(capacity))
    this.state = grown(this.state, new Uint8Array(capacity))
    this.cause = grown(this.cause, new Uint8Array(capacity))
    this.autoRenew = grown(this.autoRenew, new Uint8Array(capacity))
    this.renewals = grown(this.renewals, new Uint8Array(capacity))
  }
}
