import type { TierState } from '../../model/addressing/registry-facts.ts'
import type { TierObject, TierSection } from '../../model/tier/tier-objects.ts'

/** A section, and the object that it lies in. */
export interface PlacedSection extends TierSection {
  readonly object: TierObject
}

const none: readonly PlacedSection[] = []

/**
 * What a topic has in the tier: a projection, changed only by folding facts. Of every queue it is
 * a dense run of offsets, so what is kept of it begins where its first section does.
 */
export class TopicTier {
  #namespaces: string[] = []
  #objects: TierObject[] = []
  /** Ascending by offset. */
  readonly #sections = new Map<number, PlacedSection[]>()
  #condemned: TierObject[] = []

  /** True while the store may hold something under the topic's name. */
  get isBegun(): boolean {
    return this.#namespaces.length > 0
  }

  get objects(): readonly TierObject[] {
    return this.#objects
  }

  get state(): TierState | undefined {
    return this.isBegun ? { namespaces: this.#namespaces, objects: this.#objects } : undefined
  }

  isBegunIn(namespace: string): boolean {
    return this.#namespaces.includes(namespace)
  }

  /** First offset of a queue in the tier; undefined when it has nothing there. */
  startOf(queueId: number): number | undefined {
    return this.#sections.size === 0 ? undefined : this.#sections.get(queueId)?.[0]?.from
  }

  /** One past the last offset of a queue in the tier. */
  endOf(queueId: number): number | undefined {
    return this.#sections.size === 0 ? undefined : this.#sections.get(queueId)?.at(-1)?.to
  }

  /** Where a queue begins whose log begins at `localMin`, its sections up to `expired` gone. */
  floorOf(queueId: number, localMin: number, expired = 0): number {
    const sections = this.sectionsOf(queueId)
    const end = sections.at(-1)?.to
    // What does not reach the log is given up: no hole is ever visible.
    if (end === undefined || end < localMin) return localMin
    return sections.find(({ to }) => to > expired)?.from ?? localMin
  }

  sectionsOf(queueId: number): readonly PlacedSection[] {
    return this.#sections.get(queueId) ?? none
  }

  /** The section that holds an offset. */
  find(queueId: number, offset: number): PlacedSection | undefined {
    const sections = this.sectionsOf(queueId)
    let low = 0
    let high = sections.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((sections[middle] as PlacedSection).to > offset) high = middle
      else low = middle + 1
    }
    const found = sections[low]
    return found !== undefined && found.from <= offset ? found : undefined
  }

  /** The first section with a message stored at or after a wall time. */
  firstSince(queueId: number, sinceMs: number): PlacedSection | undefined {
    return this.sectionsOf(queueId).find(({ lastMs }) => lastMs >= sinceMs)
  }

  foldBegun(namespace: string): void {
    if (!this.isBegunIn(namespace)) this.#namespaces = [...this.#namespaces, namespace]
  }

  foldAdded(object: TierObject): void {
    this.#objects = [...this.#objects, object]
    for (const section of object.sections) {
      const sections = this.#sections.get(section.queueId)
      const placed = { ...section, object }
      if (sections) sections.push(placed)
      else this.#sections.set(section.queueId, [placed])
    }
  }

  /** Sections that end at or below an offset go, and with the last of its sections an object. */
  foldExpired(queueId: number, offsetMin: number): void {
    const sections = this.#sections.get(queueId)
    if (sections === undefined) return
    let gone = 0
    while (gone < sections.length && (sections[gone] as PlacedSection).to <= offsetMin) gone++
    if (gone === 0) return
    for (const { object } of sections.splice(0, gone)) this.#strike(object, queueId)
    if (sections.length === 0) this.#sections.delete(queueId)
  }

  /** Nothing of it is in the store any more. */
  foldDropped(): void {
    this.#namespaces = []
    this.release()
  }

  restore(state: TierState | undefined): void {
    this.release()
    this.#namespaces = [...(state?.namespaces ?? [])]
    for (const object of state?.objects ?? []) this.foldAdded(object)
  }

  /** The topic has ended: where it may have objects is all that is still needed. */
  release(): void {
    this.#objects = []
    this.#sections.clear()
    this.#condemned = []
  }

  /** Objects that hold nothing any more, for whoever removes them; forgotten by this call. */
  drainCondemned(): readonly TierObject[] {
    const condemned = this.#condemned
    if (condemned.length > 0) this.#condemned = []
    return condemned
  }

  #strike(object: TierObject, queueId: number): void {
    const at = this.#objects.findIndex(
      ({ namespace, leader, leaderFrom }) =>
        leader === object.leader &&
        leaderFrom === object.leaderFrom &&
        namespace === object.namespace,
    )
    if (at < 0) return
    const known = this.#objects[at] as TierObject
    const sections = known.sections.filter((section) => section.queueId !== queueId)
    if (sections.length > 0) {
      this.#objects = this.#objects.with(at, { ...known, sections })
      return
    }
    this.#objects = this.#objects.toSpliced(at, 1)
    this.#condemned.push(known)
  }
}
