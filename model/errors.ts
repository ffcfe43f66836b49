/** What a caller can do about it. Deliberately few: a new kind needs a new kind of reaction. */
export type ErrorKind =
  | 'invalid'
  | 'denied'
  | 'notFound'
  | 'conflict'
  | 'throttled'
  | 'unavailable'
  | 'unsupported'
  | 'corrupt'
  | 'defect'

interface ErrorSpec {
  readonly kind: ErrorKind
  readonly describe: (params: never) => string
  /** One sentence: what to do now. `glasspost explain CODE` prints it. */
  readonly remedy: string
}

type Named = { readonly name: string; readonly reason: string }
type Sized = { readonly size: number; readonly max: number }
type Reasoned = { readonly reason: string }
type None = Readonly<Record<never, never>>

const recallRefusals = {
  delivered: 'the message was delivered already and cannot be recalled',
  forgotten: 'the message was delivered or recalled too long ago to say which',
  invalid: 'the recall handle is not one of this topic and broker',
} as const

const SHOWN_MAX = 3

/** The first few of many names. */
const someOf = (names: readonly string[]): string => {
  const shown = names.slice(0, SHOWN_MAX).map((name) => `'${name}'`)
  const left = names.length - shown.length
  return left > 0 ? `${shown.join(', ')} and ${left} more` : shown.join(', ')
}

const catalog = {
  TOPIC_NAME_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Named) => `topic name '${p.name}' is illegal: ${p.reason}`,
    remedy: 'Use 1 to 127 of the characters a-z A-Z 0-9 _ - % | and no reserved name.',
  },
  GROUP_NAME_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Named) => `consumer group name '${p.name}' is illegal: ${p.reason}`,
    remedy: 'Use 1 to 120 of the characters a-z A-Z 0-9 _ - % | and no reserved prefix.',
  },
  TOPIC_NOT_FOUND: {
    kind: 'notFound',
    describe: (p: { topic: string }) => `topic '${p.topic}' does not exist`,
    remedy: 'Create the topic first, or start the broker with auto-create on.',
  },
  TOPIC_EXISTS: {
    kind: 'conflict',
    describe: (p: { topic: string }) => `topic '${p.topic}' exists already with other settings`,
    remedy: 'Describe the topic to see its settings; update it, or choose another name.',
  },
  TOPIC_SETTINGS_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Named) => `settings of topic '${p.name}' are illegal: ${p.reason}`,
    remedy: 'A topic has 1 to 1024 queues, which may grow but not shrink, and a fixed type.',
  },
  TOPICS_TOO_MANY: {
    kind: 'throttled',
    describe: (p: { max: number; what: string }) => `there are ${p.max} ${p.what} already`,
    remedy: 'Delete topics that are no longer used, or raise the limit in the settings.',
  },
  GROUP_NOT_FOUND: {
    kind: 'notFound',
    describe: (p: { group: string }) => `consumer group '${p.group}' does not exist`,
    remedy: 'A group is created when it first receives; check the name.',
  },
  GROUP_SETTINGS_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Named) => `settings of group '${p.name}' are illegal: ${p.reason}`,
    remedy:
      'attemptsMax is 1 to 1000, startFrom earliest or latest, and retry delays are 0 to 12 h.',
  },
  MESSAGE_NOT_FOUND: {
    kind: 'notFound',
    describe: (p: { messageId: string }) => `no stored message has the id '${p.messageId}'`,
    remedy: 'Check the id; a message is gone when its retention has passed or its topic has ended.',
  },
  MESSAGE_INDEX_BEHIND: {
    kind: 'unavailable',
    describe: (p: { done: number; of: number }) =>
      `the index of messages is being rebuilt: ${p.done} of ${p.of} bytes of the log are read`,
    remedy: 'Try again in a while; sending and receiving do not wait for it.',
  },
  MESSAGE_SEARCH_TOO_WIDE: {
    kind: 'invalid',
    describe: (p: { searched: number; of: number }) =>
      `the search ended after ${p.searched} of ${p.of} sections of the tier that may hold messages`,
    remedy: 'Name the topic, or search by key or time, in a shorter span of time.',
  },
  MESSAGE_TYPE_CONFLICT: {
    kind: 'conflict',
    describe: (p: { topic: string; topicType: string; messageType: string }) =>
      `topic '${p.topic}' takes ${p.topicType} messages, this one is ${p.messageType}`,
    remedy: 'Send to a topic of that type or of type MIXED.',
  },
  MESSAGE_BODY_EMPTY: {
    kind: 'invalid',
    describe: (_: None) => 'the message body is empty',
    remedy: 'Send at least one byte.',
  },
  MESSAGE_BODY_TOO_LARGE: {
    kind: 'invalid',
    describe: (p: Sized) => `the message body has ${p.size} bytes, the limit is ${p.max}`,
    remedy: 'Store large payloads elsewhere and send a reference.',
  },
  MESSAGE_PROPERTIES_TOO_LARGE: {
    kind: 'invalid',
    describe: (p: Sized & { what: string }) => `${p.size} ${p.what}, the limit is ${p.max}`,
    remedy: 'At most 128 user properties; keys, values, tag and keys within 16384 bytes together.',
  },
  MESSAGE_PROPERTY_KEY_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Named) => `user property '${p.name}' is illegal: ${p.reason}`,
    remedy: 'Choose a key that RocketMQ does not reserve, without control characters.',
  },
  MESSAGE_TAG_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Reasoned) => `the message tag is illegal: ${p.reason}`,
    remedy: 'A tag is not blank and has neither | nor control characters.',
  },
  MESSAGE_KEY_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Reasoned) => `a message key is illegal: ${p.reason}`,
    remedy: 'A key is not blank and has no control characters.',
  },
  MESSAGE_ID_ILLEGAL: {
    kind: 'invalid',
    describe: (_: None) => 'the message id is blank',
    remedy: 'Let the client library assign the id, or send any non-blank text.',
  },
  MESSAGE_GROUP_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Reasoned) => `the message group is illegal: ${p.reason}`,
    remedy: 'A message group is not blank, shorter than 64 bytes, without control characters.',
  },
  MESSAGE_CORRUPTED: {
    kind: 'invalid',
    describe: (p: Reasoned) => `the request is malformed: ${p.reason}`,
    remedy: 'Send at least one message, all to one topic.',
  },
  DELIVERY_TIME_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Reasoned) => `the delivery time is illegal: ${p.reason}`,
    remedy: 'Choose an earlier delivery time.',
  },
  DURATION_ILLEGAL: {
    kind: 'invalid',
    describe: (p: { text: string }) => `'${p.text}' is not a duration to wait for`,
    remedy: "Give milliseconds as a number, or a text such as '10 minutes', '1h 30m' or '3 days'.",
  },
  TIMER_NOT_FOUND: {
    kind: 'notFound',
    describe: (p: { timerId: string }) => `timer ${p.timerId} is not pending`,
    remedy: 'It was delivered, recalled or ended with its topic; list the timers that are pending.',
  },
  RECALL_REFUSED: {
    kind: 'conflict',
    describe: (p: { outcome: 'delivered' | 'forgotten' | 'invalid' }) => recallRefusals[p.outcome],
    remedy: 'Pass the recall handle of the send receipt, with its topic, before the delivery time.',
  },
  SCHEDULE_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Named) => `schedule '${p.name}' is illegal: ${p.reason}`,
    remedy: "Give every: '10 minutes', or cron: '0 2 * * *' with a timeZone such as Europe/Berlin.",
  },
  SCHEDULE_EXISTS: {
    kind: 'conflict',
    describe: (p: { schedule: string }) => `schedule '${p.schedule}' exists already and differs`,
    remedy: 'Delete it first, or choose another name.',
  },
  SCHEDULE_NOT_FOUND: {
    kind: 'notFound',
    describe: (p: { schedule: string }) => `schedule '${p.schedule}' does not exist`,
    remedy: 'List the schedules; ending a topic ends its schedules.',
  },
  TRANSACTION_NOT_FOUND: {
    kind: 'notFound',
    describe: (p: { transactionId: string }) =>
      `transaction '${p.transactionId}' is unknown, or was resolved the other way`,
    remedy: 'A resolved transaction stays as it is; list the ones that are pending.',
  },
  TRANSACTION_ID_INVALID: {
    kind: 'invalid',
    describe: (_: None) => 'the transaction id is blank',
    remedy: 'Pass the transaction id of the send receipt.',
  },
  TRANSACTION_RECOVERY_TOO_LONG: {
    kind: 'invalid',
    describe: (p: Sized) => `the recovery duration is ${p.size} s, the limit is ${p.max} s`,
    remedy: 'Use at most one hour.',
  },
  FILTER_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Reasoned & { position?: number }) =>
      p.position === undefined
        ? `the filter expression is illegal: ${p.reason}`
        : `the filter expression is illegal at position ${p.position}: ${p.reason}`,
    remedy: "Use '*', tags joined by '||', or an SQL92 expression on user properties.",
  },
  INVISIBLE_DURATION_ILLEGAL: {
    kind: 'invalid',
    describe: (p: { invisibleMs: number; minMs: number; maxMs: number }) =>
      p.invisibleMs < p.minMs
        ? `the invisibleTime is too small. min is ${p.minMs}`
        : `the invisibleTime is too large. max is ${p.maxMs}`,
    remedy: 'Receive with 10 s to 12 h, change to 0 to 12 h.',
  },
  POLLING_TIME_ILLEGAL: {
    kind: 'invalid',
    describe: (p: { remainingMs: number }) =>
      `the deadline leaves ${p.remainingMs} ms, less than the shortest poll`,
    remedy: 'Call with a deadline of at least 5 s, or of the await duration plus some reserve.',
  },
  RECEIPT_HANDLE_INVALID: {
    kind: 'invalid',
    describe: (p: Reasoned) => `receipt handle is invalid: ${p.reason}`,
    remedy: 'Pass the handle exactly as it was received, to the broker that gave it.',
  },
  RECEIPT_HANDLE_EXPIRED: {
    kind: 'conflict',
    describe: (_: None) => 'receipt handle is expired',
    remedy: 'The message is or will be delivered again; use the newest handle, or a longer lease.',
  },
  OFFSET_RESET_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Reasoned) => `the offsets cannot be reset: ${p.reason}`,
    remedy: 'Name a queue of the topic, and earliest, latest, a time or an offset.',
  },
  CLIENT_ID_REQUIRED: {
    kind: 'invalid',
    describe: (_: None) => 'client id cannot be empty',
    remedy: 'Send the header x-mq-client-id.',
  },
  CLIENT_SETTINGS_INVALID: {
    kind: 'invalid',
    describe: (p: Reasoned) => `process client telemetryCommand failed. ${p.reason}`,
    remedy: 'Send settings of a producer (publishing) or of a consumer (subscription).',
  },
  CLIENT_PROPERTIES_INVALID: {
    kind: 'invalid',
    describe: (p: Reasoned) => `the client properties are illegal: ${p.reason}`,
    remedy:
      'At most 32 properties; keys of 64 letters, digits and _ . -, values of 256, 4096 in all.',
  },
  THROTTLED: {
    kind: 'throttled',
    describe: (p: Reasoned) => `flow limit: ${p.reason}`,
    remedy: 'Back off and try again; the broker answers as soon as the disk keeps up.',
  },
  DISK_FULL: {
    kind: 'throttled',
    describe: (p: { usedPercent: number; freeMiB: number }) =>
      `the disk is ${p.usedPercent} % full (${p.freeMiB} MiB free); sends are refused`,
    remedy: 'Free space, shorten retention or delete topics; sends resume by themselves.',
  },
  STORE_UNAVAILABLE: {
    kind: 'unavailable',
    describe: (p: { store: string; operation: string }) =>
      `${p.store} could not ${p.operation}; the command did not happen`,
    remedy: 'Try again; the broker reopens its store by itself and says why it cannot.',
  },
  OUTCOME_UNKNOWN: {
    kind: 'unavailable',
    describe: (p: { waitedMs: number }) =>
      `the store did not answer for ${p.waitedMs} ms; the command may or may not have happened`,
    remedy: 'Repeat it if a duplicate is harmless, else look for the message by its id first.',
  },
  BROKER_CLOSED: {
    kind: 'unavailable',
    describe: (_: None) => 'the broker is closing',
    remedy: 'Connect to a running broker.',
  },
  TOPIC_ENDING: {
    kind: 'notFound',
    describe: (p: { topic: string }) => `topic '${p.topic}' is being deleted`,
    remedy: 'Wait until it is gone, then create it anew.',
  },
  GROUP_ENDING: {
    kind: 'notFound',
    describe: (p: { group: string }) => `consumer group '${p.group}' is being deleted`,
    remedy: 'Wait until it is gone; it is created anew by the next receive.',
  },
  TIER_UNAVAILABLE: {
    kind: 'unavailable',
    describe: (p: { store: string; operation: string; reason: string }) =>
      `the tier ${p.store} could not ${p.operation}: ${p.reason}`,
    remedy: 'Nothing is lost and it is tried again; check endpoint, network and `tier status`.',
  },
  TIER_DENIED: {
    kind: 'unavailable',
    describe: (p: { store: string; operation: string; reason: string }) =>
      `the tier ${p.store} does not allow to ${p.operation}: ${p.reason}`,
    remedy:
      'Give the credentials put, get, list and delete on the bucket; nothing is lost meanwhile.',
  },
  TIER_OBJECT_EXISTS: {
    kind: 'conflict',
    describe: (p: { store: string; key: string }) => `the tier ${p.store} has an object ${p.key}`,
    remedy: 'The broker reads it back and adopts what is its own.',
  },
  TIER_OBJECT_NOT_FOUND: {
    kind: 'notFound',
    describe: (p: { store: string; key: string }) => `the tier ${p.store} has no object ${p.key}`,
    remedy: 'Run `glasspost tier verify`; put the object back from a copy if it was removed.',
  },
  TIER_RANGE_ILLEGAL: {
    kind: 'corrupt',
    describe: (p: { store: string; key: string; to: number }) =>
      `the object ${p.key} in the tier ${p.store} ends before byte ${p.to}`,
    remedy: 'Run `glasspost tier verify`; put the object back from a copy.',
  },
  TIER_KEY_ILLEGAL: {
    kind: 'invalid',
    describe: (p: { store: string; key: string }) =>
      `the tier ${p.store} takes no object of the name '${p.key}'`,
    remedy: 'Use names of a-z 0-9 . - joined by /, none beginning with a dot, 512 bytes in all.',
  },
  TIER_UNFIT: {
    kind: 'unsupported',
    describe: (p: { store: string; reason: string }) =>
      `the store ${p.store} cannot be a tier: ${p.reason}`,
    remedy:
      'Use a store with conditional writes (PutObject with If-None-Match), such as AWS S3, Ceph ' +
      'or MinIO, or a directory on a file system with hard links.',
  },
  TIER_CONFLICT: {
    kind: 'conflict',
    describe: (p: { store: string; key: string }) =>
      `the object ${p.key} in the tier ${p.store} was written by somebody else`,
    remedy: 'Two brokers run on copies of one data directory: stop one of them.',
  },
  TIER_MESSAGE_UNREADABLE: {
    kind: 'corrupt',
    describe: (p: { topic: string; queueId: number; offset: number; reason: string }) =>
      `queue ${p.queueId} of ${p.topic} cannot be offloaded: the message at ${p.offset} cannot be ` +
      `read, ${p.reason}`,
    remedy: 'Run `glasspost doctor --verify`; the queue goes on when retention has passed it.',
  },
  TIER_OFF: {
    kind: 'unsupported',
    describe: (_: None) => 'this broker has no tier',
    remedy: 'Start it with `--tier directory` or `--tier s3`.',
  },
  TIER_REQUIRED: {
    kind: 'conflict',
    describe: (p: { topics: readonly string[] }) =>
      `history of ${someOf(p.topics)} lies in the tier, and the tier is off`,
    remedy: 'Start with the tier that these topics were offloaded to.',
  },
  CORRUPT: {
    kind: 'corrupt',
    describe: (p: { store: string; position: number; reason: string }) =>
      `${p.store} is corrupt at position ${p.position}: ${p.reason}`,
    remedy: 'Do not delete anything. Restore from a backup, or ask with this sentence at hand.',
  },
  BACKUP_UNUSABLE: {
    kind: 'corrupt',
    describe: (p: { path: string; reason: string }) => `${p.path} is no usable backup: ${p.reason}`,
    remedy: 'Give what `glasspost backup` wrote, whole; nothing was restored from this one.',
  },
  TARGET_NOT_EMPTY: {
    kind: 'conflict',
    describe: (p: { path: string }) => `${p.path} is not empty`,
    remedy: 'Choose a directory that is new or empty; nothing was written.',
  },
  DATA_FORMAT_UNKNOWN: {
    kind: 'unsupported',
    describe: (p: { dataDir: string; found: string; known: string }) =>
      `${p.dataDir} was written in format ${p.found}; this version knows ${p.known}`,
    remedy: 'Start the version that wrote it, or a newer one; nothing was changed.',
  },
  DATA_DIR_FOREIGN: {
    kind: 'conflict',
    describe: (p: { dataDir: string; found: readonly string[] }) =>
      `${p.dataDir} holds other things and no data of a broker: ${someOf(p.found)}`,
    remedy: 'Give a directory of its own; it is created when missing. Nothing was changed.',
  },
  DATA_DIR_LOCKED: {
    kind: 'conflict',
    describe: (p: { dataDir: string }) => `another process is using ${p.dataDir}`,
    remedy: 'Stop that process, or start with another data directory.',
  },
  ADDRESS_IN_USE: {
    kind: 'conflict',
    describe: (p: { address: string }) => `another process listens on ${p.address}`,
    remedy: 'Stop it, or choose another port: --grpc-port, --http-port (0 takes any free one).',
  },
  SETTINGS_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Named) => `setting '${p.name}' is illegal: ${p.reason}`,
    remedy: 'Change that setting; its unit is in its name.',
  },
  REQUEST_ILLEGAL: {
    kind: 'invalid',
    describe: (p: Reasoned) => `the request is illegal: ${p.reason}`,
    remedy: 'Compare it with /openapi.json; fields are never ignored, so that typos are seen.',
  },
  REQUEST_TOO_LARGE: {
    kind: 'invalid',
    describe: (p: { what: string }) => `the request's ${p.what} is too large`,
    remedy: 'Send less at once; a message body has at most 4 MiB.',
  },
  ROUTE_NOT_FOUND: {
    kind: 'notFound',
    describe: (p: { method: string; path: string }) => `there is no ${p.method} ${p.path}`,
    remedy: 'See /openapi.json for everything there is.',
  },
  TOKEN_REQUIRED: {
    kind: 'denied',
    describe: (_: None) => 'the request has no bearer token, or not the right one',
    remedy: "Send 'Authorization: Bearer TOKEN' with the token that the broker was started with.",
  },
  ACCESS_KEY_REFUSED: {
    kind: 'denied',
    describe: (p: Reasoned) => `the access key is refused: ${p.reason}`,
    remedy: 'Configure the client with an access key of the accounts file and its secret.',
  },
  RIGHT_MISSING: {
    kind: 'denied',
    describe: (p: { accessKey: string; right: string; what: string }) =>
      `access key '${p.accessKey}' may not ${p.right} to ${p.what}`,
    remedy: 'Add the right to the account in the accounts file; it counts at its next reload.',
  },
  ACCOUNTS_ILLEGAL: {
    kind: 'invalid',
    describe: (p: { file: string; reason: string }) =>
      `the accounts of ${p.file} are illegal: ${p.reason}`,
    remedy: 'Correct that place of the file; docs/operations.md shows its form.',
  },
  CERTIFICATE_ILLEGAL: {
    kind: 'invalid',
    describe: (p: { file: string; reason: string }) =>
      `the certificate of ${p.file} cannot be used: ${p.reason}`,
    remedy: 'Give a PEM chain and its unencrypted key, or none to have one made.',
  },
  HOST_NOT_ALLOWED: {
    kind: 'denied',
    describe: (p: { host: string }) => `requests from or for '${p.host}' are not answered`,
    remedy: 'Use the IP address or localhost, or start the broker with a token for HTTP.',
  },
  INTERNAL: {
    kind: 'defect',
    describe: (p: { operation: string }) => `${p.operation} failed; the broker's log says why`,
    remedy: 'Look at the log of the broker, and report what it says.',
  },
  SETTINGS_REFUSED: {
    kind: 'invalid',
    describe: (p: { problems: readonly string[] }) =>
      `the settings are refused:\n  ${p.problems.join('\n  ')}`,
    remedy: 'Change the lines that are named; `glasspost config` shows every setting.',
  },
  NOT_BUILT: {
    kind: 'unsupported',
    describe: (p: { what: string }) => `${p.what} is not supported by this version`,
    remedy: 'Do without it, or use a later version; the message was not stored.',
  },
} as const satisfies Record<string, ErrorSpec>

export type BrokerErrorCode = keyof typeof catalog
type ParamsOf<Code extends BrokerErrorCode> = Parameters<(typeof catalog)[Code]['describe']>[0]

/**
 * Every refusal and failure of the broker: a stable code, a kind to react to, a sentence to read.
 */
export class BrokerError<Code extends BrokerErrorCode = BrokerErrorCode> extends Error {
  override readonly name = 'BrokerError'
  readonly code: Code
  readonly kind: ErrorKind
  readonly params: ParamsOf<Code>

  constructor(code: Code, params: ParamsOf<Code>, options?: ErrorOptions) {
    const spec: ErrorSpec = catalog[code]
    super(spec.describe(params as never), options)
    this.code = code
    this.kind = spec.kind
    this.params = params
  }

  get remedy(): string {
    return catalog[this.code].remedy
  }
}

export const errorCodes = Object.keys(catalog) as BrokerErrorCode[]

/** Kind and remedy of a code, for `glasspost explain`. */
export const explain = (code: BrokerErrorCode): { kind: ErrorKind; remedy: string } => ({
  kind: catalog[code].kind,
  remedy: catalog[code].remedy,
})

export const isBrokerError = <Code extends BrokerErrorCode>(
  error: unknown,
  ...codes: Code[]
): error is BrokerError<Code> =>
  error instanceof BrokerError && (codes.length === 0 || codes.includes(error.code as Code))
