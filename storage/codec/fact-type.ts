/**
 * The first byte of every record, then a byte for the version of its encoding. Numbers are
 * for ever: a retired one is never given out again (docs/formats/facts.md).
 */
export const factType = {
  messageAppended: 1,
  messageCarried: 2,
  messageDeadLettered: 3,
  timerFired: 4,
  transactionCommitted: 5,
  messageRedriven: 6,
  topicCreated: 10,
  topicUpdated: 11,
  topicEnded: 12,
  topicDropped: 13,
  topicCarried: 14,
  queueTrimmed: 15,
  tierBegun: 16,
  tierAdded: 17,
  tierExpired: 18,
  tierDropped: 19,
  groupCreated: 20,
  groupUpdated: 21,
  groupEnded: 22,
  groupDropped: 23,
  leased: 30,
  extended: 31,
  acked: 32,
  deliveriesCarried: 33,
  offsetsReset: 34,
  lettersEnded: 39,
  logOpened: 40,
  logTrimmed: 41,
  timerScheduled: 50,
  timerCarried: 51,
  timersEnded: 52,
  timerMoved: 53,
  timersRemembered: 54,
  timersNumbered: 55,
  transactionScheduled: 56,
  scheduleSet: 57,
  scheduleEnded: 58,
  runPlanned: 59,
  transactionPrepared: 60,
  transactionsEnded: 61,
  transactionChecked: 62,
  transactionCarried: 63,
  transactionsRemembered: 64,
  transactionsNumbered: 65,
} as const

const FACT_VERSION = 1

/** Types whose encoding has grown: all versions up to this one are read. */
const newestVersions: Readonly<Record<number, number>> = {
  [factType.topicCreated]: 5,
  [factType.topicUpdated]: 2,
  [factType.topicCarried]: 5,
  [factType.queueTrimmed]: 2,
  [factType.groupCreated]: 2,
  [factType.groupUpdated]: 2,
  [factType.leased]: 2,
  [factType.extended]: 2,
  [factType.deliveriesCarried]: 2,
}

export const newestVersion = (type: number): number => newestVersions[type] ?? FACT_VERSION

/** Facts that nobody waits for: losing one can only cause a redelivery (house: section 2). */
export const isBuffered = (type: number): boolean =>
  (type >= factType.leased && type <= factType.acked) || type === factType.transactionChecked

/** Types below 10 hold a message. */
export const isMessage = (type: number): boolean => type >= factType.messageAppended && type < 10
