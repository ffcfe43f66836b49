/** Why a message was delivered. Everything but `first` is a redelivery. On disk by position. */
export const deliveryCauses = [
  'first',
  'deadline',
  'negativeAck',
  'sessionLost',
  'crashRecovery',
  'repeatedAttempt',
  'reset',
] as const

export type DeliveryCause = (typeof deliveryCauses)[number]
