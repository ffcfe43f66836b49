import type { StartPosition } from '../../model/addressing/group.ts'
import { type Retention, RETENTION_MS_DEFAULT } from '../../model/addressing/topic.ts'
import { type CommitLogSettings, commitLogDefaults } from '../commit-log/settings.ts'
import type { AckFlush } from '../consumer-group/leases.ts'
import type { ReceiverLimits } from '../consumer-group/receiver.ts'
import type { ParkingLimits } from '../consumer-group/parked-receives.ts'
import type { MessageIndexSettings } from '../messages/message-index.ts'
import type { DeferredLimits } from '../timer-wheel/deferred-store.ts'
import type { TimerWheelSettings } from '../timer-wheel/timer-wheel.actor.ts'
import type { TransactionSettings } from '../transaction/transaction-book.ts'
import { tierDefaults, type TierSettings } from '../tier/settings.ts'
import type { ReclaimSettings } from '../upkeep/reclaim.ts'
import type { LocalRetention } from '../upkeep/trim.ts'

/** Every bound and period of a broker; units in the names. */
export interface BrokerSettings {
  readonly commitLog: CommitLogSettings
  readonly receiver: ReceiverLimits
  readonly parking: ParkingLimits
  readonly reclaim: ReclaimSettings
  readonly messageIndex: MessageIndexSettings
  /** A write to the index that takes longer counts as failed; the handle is dead then. */
  readonly indexTimeoutMs: number
  readonly upkeepRestMs: number
  /** A checkpoint is pressed when this much was admitted since the last one. */
  readonly checkpointBytes: number
  readonly blockCacheBytes: number
  readonly sessionGraceMs: number
  /** `sync`: receives and acknowledgements wait for the disk, as RocketMQ's once did. */
  readonly ackFlush: AckFlush
  /** Where a group begins that a receive creates. */
  readonly groupsStartFrom: StartPosition
  readonly topicsMax: number
  readonly groupsMax: number
  readonly autoCreateTopics: boolean
  /** Topics that clients may create by asking for their route. */
  readonly autoCreatedTopicsMax: number
  /** What a topic keeps that does not say it. */
  readonly retention: Retention
  readonly tier: TierSettings
  /** What the log keeps of messages that the tier has. */
  readonly local: LocalRetention
  readonly disk: DiskSettings
  readonly timers: TimerSettings
  readonly transactions: TransactionSettings
}

export interface TimerSettings extends TimerWheelSettings, DeferredLimits {
  /** No delivery time lies further ahead. RocketMQ over gRPC has 24 h. */
  readonly horizonMs: number
  /** How long it is known what became of a timer or transaction that ended. */
  readonly recallMemoryMs: number
  /** The sizes of the set are compared with what is stored so often. */
  readonly sweepEveryMs: number
  /** Written to the index in one batch, so that no turn is long. */
  readonly checkpointEntriesMax: number
}

export interface DiskSettings {
  readonly warnAtPercent: number
  readonly refuseAtPercent: number
  /** Sends are never refused while this much is free, however full the disk (decision 0004). */
  readonly freeBytesEnough: number
}

export const brokerDefaults: BrokerSettings = {
  commitLog: commitLogDefaults,
  receiver: { unackedMax: 10_000, unackedTotalMax: 2_000_000, scanMax: 1_024 },
  parking: { perKeyMax: 1_024, totalMax: 100_000 },
  reclaim: { extentBytes: 4 << 20, carryBelow: 0.25, reclaimMs: 24 * 3_600_000 },
  messageIndex: { rangeBytes: 32 << 20, rangeNamesMax: 64 << 10, turnBytes: 512 << 10 },
  indexTimeoutMs: 30_000,
  upkeepRestMs: 5_000,
  checkpointBytes: 32 << 20,
  blockCacheBytes: 32 << 20,
  sessionGraceMs: 30_000,
  ackFlush: 'async',
  groupsStartFrom: 'earliest',
  topicsMax: 20_000,
  groupsMax: 20_000,
  autoCreateTopics: false,
  autoCreatedTopicsMax: 1_000,
  retention: { ageMs: RETENTION_MS_DEFAULT, bytes: 0 },
  tier: tierDefaults,
  local: { ageMs: 6 * 3_600_000, bytes: 0 },
  timers: {
    horizonMs: 365 * 24 * 3_600_000,
    recallMemoryMs: 24 * 3_600_000,
    sweepEveryMs: 600_000,
    checkpointEntriesMax: 1_024,
    nearWindowMs: 300_000,
    nearMax: 262_144,
    batchMax: 512,
    batchesMax: 64,
    tickMs: 5,
    jumpCheckMs: 1_000,
    jumpMs: 100,
  },
  transactions: { checkAfterMs: 6_000, checkEveryMs: 30_000, checksMax: 15 },
  disk: { warnAtPercent: 75, refuseAtPercent: 90, freeBytesEnough: 16 * 2 ** 30 },
}

/** Some settings; whatever is left out has its default, within a section too. */
export type SomeBrokerSettings = {
  readonly [Name in keyof BrokerSettings]?: BrokerSettings[Name] extends object
    ? Partial<BrokerSettings[Name]>
    : BrokerSettings[Name]
}

/** Fills defaults. */
export const brokerSettingsOf = (some: SomeBrokerSettings = {}): BrokerSettings => {
  const filled = Object.entries(brokerDefaults).map(([name, otherwise]: [string, unknown]) => {
    const given: unknown = some[name as keyof BrokerSettings]
    if (given === undefined) return [name, otherwise]
    const isSection = typeof otherwise === 'object' && typeof given === 'object'
    return [name, isSection ? { ...otherwise, ...given } : given]
  })
  return Object.fromEntries(filled) as BrokerSettings
}
