import type { Settings } from './schema.ts'

/** The settings of the broker itself, under the names that it has for them. */
export const brokerTuning = (settings: Settings) => {
  const { commitLog, disk, groups, index, receive, timers, topics, transactions, upkeep } = settings
  const { backoffMsBase, backoffMsMax, ...log } = commitLog
  return {
    commitLog: { ...log, backoff: { msBase: backoffMsBase, msMax: backoffMsMax } },
    receiver: { unackedMax: receive.unackedMax, unackedTotalMax: receive.unackedTotalMax },
    parking: { perKeyMax: receive.parkedPerKeyMax, totalMax: receive.parkedMax },
    reclaim: { reclaimMs: upkeep.reclaimMs },
    indexTimeoutMs: index.timeoutMs,
    upkeepRestMs: upkeep.restMs,
    checkpointBytes: index.checkpointBytes,
    blockCacheBytes: index.blockCacheBytes,
    sessionGraceMs: settings.sessions.graceMs,
    topicsMax: topics.max,
    groupsMax: groups.max,
    groupsStartFrom: groups.startFrom,
    ackFlush: receive.ackFlush,
    autoCreatedTopicsMax: topics.autoCreatedMax,
    retention: { ageMs: topics.retentionMs, bytes: topics.retentionBytes },
    tier: tierTuning(settings),
    local: settings.local,
    timers,
    transactions,
    disk,
  }
}

const tierTuning = ({ tiering }: Settings) => {
  const { backoffMsBase, backoffMsMax, gibPricePerMonth, ...rest } = tiering
  const { putPricePerThousand, getPricePerThousand, headPricePerThousand, ...bounds } = rest
  const { listPricePerThousand, removePricePerThousand, ...tuning } = bounds
  return {
    ...tuning,
    backoff: { msBase: backoffMsBase, msMax: backoffMsMax },
    prices: {
      perGibMonth: gibPricePerMonth,
      requests: {
        put: putPricePerThousand,
        get: getPricePerThousand,
        head: headPricePerThousand,
        list: listPricePerThousand,
        remove: removePricePerThousand,
      },
    },
  }
}

export type BrokerTuning = ReturnType<typeof brokerTuning>
