import type { OffsetRuns } from '../delivery/facts.ts'
import type { GroupSettings } from './group.ts'
import type { ScheduleState } from '../schedule/schedule-state.ts'
import type { TierObject } from '../tier/tier-objects.ts'
import type { TopicSettings } from './topic.ts'

/** Where an owner is in its life. `dropped` is a tombstone: kept until its facts have left the log. */
export type OwnerStatus = 'serving' | 'ending' | 'dropped'

export interface QueueBounds {
  /** First offset held here; what the tier holds may begin before it. */
  readonly offsetMin: number
  readonly offsetMax: number
  /** True when a message with a message group was ever stored in the queue. */
  readonly isOrdered: boolean
  /** Offsets above `offsetMin` whose messages are gone for everybody. Missing: none. */
  readonly ended?: OffsetRuns
}

/** `[extent, bytes]` pairs, flat: what a trim made dead, by place (house: retention). */
export type FreedBytes = readonly number[]

export interface TopicState extends TopicSettings {
  readonly topicId: number
  readonly name: string
  readonly status: OwnerStatus
  /** Bytes of its live records in the log. */
  readonly bytes: number
  /** Made because a client asked for its route, not by an operator. */
  readonly isAutoCreated: boolean
  /** Wall clock; 0 while the topic lives. */
  readonly droppedAtMs: number
  readonly bounds: readonly QueueBounds[]
  readonly schedules: readonly ScheduleState[]
  /** What it has in the tier, if it ever had anything there. */
  readonly tier?: TierState
}

export interface TierState {
  /** Where the topic may have objects: named before the first of them is written. */
  readonly namespaces: readonly string[]
  /** In the order in which they were added; only sections that are still kept. */
  readonly objects: readonly TierObject[]
}

export interface GroupState extends GroupSettings {
  readonly groupId: number
  readonly name: string
  readonly status: OwnerStatus
}

export type RegistryFact =
  | { readonly type: 'topicCreated'; readonly topic: TopicState }
  | { readonly type: 'topicUpdated'; readonly topicId: number; readonly settings: TopicSettings }
  | { readonly type: 'topicEnded'; readonly topicId: number }
  | {
      readonly type: 'topicDropped'
      readonly topicId: number
      readonly atMs: number
      readonly freed: FreedBytes
    }
  | { readonly type: 'topicCarried'; readonly topic: TopicState }
  /** Objects of the topic may be written under this name from now on. */
  | { readonly type: 'tierBegun'; readonly topicId: number; readonly namespace: string }
  /** An object is in the tier and in its manifest: what it holds may leave the log. */
  | { readonly type: 'tierAdded'; readonly topicId: number; readonly object: TierObject }
  /** Sections of a queue that end at or below the offset are nobody's any more. */
  | {
      readonly type: 'tierExpired'
      readonly topicId: number
      readonly queueId: number
      readonly offsetMin: number
      readonly floor: number
    }
  /** Nothing is left in the tier of a topic that has ended. */
  | { readonly type: 'tierDropped'; readonly topicId: number }
  /** Created, paused or resumed. */
  | { readonly type: 'scheduleSet'; readonly topicId: number; readonly schedule: ScheduleState }
  | { readonly type: 'scheduleEnded'; readonly topicId: number; readonly scheduleId: number }
  | {
      readonly type: 'queueTrimmed'
      readonly topicId: number
      readonly queueId: number
      /** First offset that the log keeps. */
      readonly offsetMin: number
      /**
       * First offset that the queue keeps, here or in the tier: said, because a replay may meet
       * what the tier has only later, where it was carried forward.
       */
      readonly floor: number
      readonly messages: number
      readonly bytes: number
      readonly freed: FreedBytes
    }
  /** Dead letters that were purged: nobody finds or receives them any more. */
  | {
      readonly type: 'lettersEnded'
      readonly topicId: number
      readonly queueId: number
      readonly runs: OffsetRuns
    }
  | { readonly type: 'groupCreated'; readonly group: GroupState }
  | { readonly type: 'groupUpdated'; readonly groupId: number; readonly settings: GroupSettings }
  | { readonly type: 'groupEnded'; readonly groupId: number }
  | { readonly type: 'groupDropped'; readonly groupId: number }
  | { readonly type: 'logOpened'; readonly epoch: number; readonly wallMs: number }
  | {
      readonly type: 'logTrimmed'
      /** Ids below were given out: never reused. */
      readonly nextOwnerId: number
      /** `[from, to)` pairs, flat and ascending: every stretch missing from the log. */
      readonly gaps: readonly number[]
    }
