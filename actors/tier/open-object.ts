import type { Frame, FrameEntry } from '../../storage/tier/segment-frame.ts'
import type { SectionIndex } from '../../storage/tier/segment-index.ts'
import type { SegmentNames } from '../../storage/tier/segment-names.ts'
import type { Cached, Part } from './part-cache.ts'

/** A frame in the cache, or one that is on its way there. */
export interface CachedFrame extends Cached<Frame> {
  /** Where reading ahead goes on when somebody gets here: a queue offset. */
  aheadFrom?: number | undefined
}

/** Frames that one read has brought, each by its position. */
export type Run = ReadonlyMap<number, Frame>

/** What is in memory of an object, each by its position there. */
export class OpenObject {
  readonly key: string
  readonly indexes = new Map<number, Cached<SectionIndex>>()
  readonly names = new Map<number, Cached<SegmentNames>>()
  readonly frames = new Map<number, CachedFrame>()
  /** Indexes and names on their way. */
  readonly opening = new Map<number, Promise<Part>>()
  /** Frames on their way, several by one read. */
  readonly loading = new Map<number, Promise<Run>>()
  /** What arrives later is not kept. */
  isDropped = false

  constructor(key: string) {
    this.key = key
  }

  get isIdle(): boolean {
    const { indexes, names, frames, opening, loading } = this
    return indexes.size + names.size + frames.size + opening.size + loading.size === 0
  }
}

export const isKnown = ({ frames, loading }: OpenObject, { at }: FrameEntry): boolean =>
  frames.has(at) || loading.has(at)

/** At least one frame, and those behind it in the section that nobody has, up to so many bytes. */
export const runFrom = (
  object: OpenObject,
  index: SectionIndex,
  first: FrameEntry,
  bytesMax: number,
): FrameEntry[] => {
  const run = [first]
  let { bytes } = first
  let next = index.frameOf(first.from + first.count)
  while (next !== undefined && bytes + next.bytes <= bytesMax && !isKnown(object, next)) {
    run.push(next)
    bytes += next.bytes
    next = index.frameOf(next.from + next.count)
  }
  return run
}
