import fc from 'fast-check'

/** What may happen to a broker, as plain data, so that a failure prints and shrinks well. */
export type Command =
  | { readonly type: 'createTopic'; readonly topic: number; readonly queues: number }
  | { readonly type: 'createShortTopic'; readonly topic: number; readonly by: 'age' | 'bytes' }
  | { readonly type: 'endTopic'; readonly topic: number }
  | { readonly type: 'createGroup'; readonly group: number; readonly attemptsMax: number }
  | { readonly type: 'endGroup'; readonly group: number }
  | {
      readonly type: 'send'
      readonly topic: number
      readonly count: number
      readonly bytes: number
      readonly messageGroup: string
      readonly isAwaited: boolean
    }
  | {
      readonly type: 'receive'
      readonly topic: number
      readonly group: number
      readonly batchMax: number
      readonly waitMs: number
      readonly invisibleMs: number
    }
  | { readonly type: 'abortedReceive'; readonly topic: number; readonly group: number }
  | { readonly type: 'renewedReceive'; readonly topic: number; readonly group: number }
  | { readonly type: 'loseClient' }
  | {
      readonly type: 'attemptedReceive'
      readonly topic: number
      readonly group: number
      readonly attempt: number
    }
  | {
      readonly type: 'resetOffsets'
      readonly topic: number
      readonly group: number
      /** 2: every queue. */
      readonly queue: number
      /** An offset, or one of the ends. */
      readonly to: number | 'earliest' | 'latest'
    }
  | { readonly type: 'pauseGroup'; readonly group: number; readonly paused: boolean }
  | { readonly type: 'ack'; readonly pick: number; readonly count: number }
  | { readonly type: 'ackTwice'; readonly pick: number }
  | { readonly type: 'extend'; readonly pick: number; readonly ms: number }
  | { readonly type: 'deadLetter'; readonly pick: number }
  | { readonly type: 'advance'; readonly ms: number }
  /** Somebody sets the wall clock. */
  | { readonly type: 'clockJump'; readonly ms: number }
  | { readonly type: 'restart' }
  | { readonly type: 'closeAtOnce' }
  | { readonly type: 'powerCut'; readonly seed: number }
  /** As a power cut, and somebody deletes the index before the next start. */
  | { readonly type: 'indexLost'; readonly seed: number }
  | {
      readonly type: 'failWrites'
      readonly database: 'commit-log' | 'index'
      readonly error: 'ENOSPC' | 'EIO'
      readonly leaves: 'torn' | 'whole' | 'nothing'
      readonly count: number
    }
  | { readonly type: 'failOpens'; readonly database: 'commit-log' | 'index' }
  | { readonly type: 'slowWrites'; readonly database: 'commit-log' | 'index'; readonly ms: number }
  | { readonly type: 'hangWrites'; readonly database: 'commit-log' | 'index' }
  | { readonly type: 'fillDisk' }
  | { readonly type: 'heal' }
  | { readonly type: 'checkpoint' }
  | { readonly type: 'audit' }
  | { readonly type: 'rebuild' }

export type CommandType = Command['type']

const topic = fc.nat({ max: 2 })
const group = fc.nat({ max: 2 })
const pick = fc.nat({ max: 40 })
const database = fc.constantFrom<'commit-log' | 'index'>('commit-log', 'commit-log', 'index')

const of = <Type extends CommandType>(
  type: Type,
  fields: {
    [Key in Exclude<keyof Extract<Command, { type: Type }>, 'type'>]: fc.Arbitrary<unknown>
  },
): fc.Arbitrary<Command> =>
  fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Command>

const aCommand: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: of('createTopic', { topic, queues: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 2, arbitrary: of('createShortTopic', { topic, by: fc.constantFrom('age', 'bytes') }) },
  { weight: 2, arbitrary: of('endTopic', { topic }) },
  {
    weight: 2,
    arbitrary: of('createGroup', { group, attemptsMax: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: of('endGroup', { group }) },
  {
    weight: 14,
    arbitrary: of('send', {
      topic,
      count: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 5, max: 50 })),
      bytes: fc.oneof(fc.nat({ max: 30 }), fc.constantFrom(200, 700)),
      messageGroup: fc.constantFrom('', '', 'a', 'b'),
      isAwaited: fc.boolean(),
    }),
  },
  {
    weight: 12,
    arbitrary: of('receive', {
      topic,
      group,
      batchMax: fc.constantFrom(1, 3, 32),
      waitMs: fc.constantFrom(0, 0, 5_000, 15_000),
      invisibleMs: fc.constantFrom(10_000, 10_000, 40_000),
    }),
  },
  { weight: 2, arbitrary: of('abortedReceive', { topic, group }) },
  { weight: 2, arbitrary: of('renewedReceive', { topic, group }) },
  { weight: 1, arbitrary: of('loseClient', {}) },
  {
    weight: 3,
    arbitrary: of('attemptedReceive', { topic, group, attempt: fc.nat({ max: 1 }) }),
  },
  {
    weight: 2,
    arbitrary: of('resetOffsets', {
      topic,
      group,
      queue: fc.nat({ max: 2 }),
      to: fc.oneof(fc.constantFrom('earliest', 'latest'), fc.nat({ max: 60 })),
    }),
  },
  { weight: 2, arbitrary: of('pauseGroup', { group, paused: fc.boolean() }) },
  { weight: 10, arbitrary: of('ack', { pick, count: fc.constantFrom(1, 1, 40) }) },
  { weight: 2, arbitrary: of('ackTwice', { pick }) },
  { weight: 4, arbitrary: of('extend', { pick, ms: fc.constantFrom(0, 10_000, 30_000) }) },
  { weight: 3, arbitrary: of('deadLetter', { pick }) },
  {
    weight: 10,
    arbitrary: of('advance', { ms: fc.constantFrom(1, 10, 1_000, 10_000, 10_001, 61_000) }),
  },
  {
    weight: 1,
    arbitrary: of('clockJump', { ms: fc.constantFrom(-60_000, -3_000, 8_000, 60_000) }),
  },
  { weight: 3, arbitrary: of('restart', {}) },
  { weight: 1, arbitrary: of('closeAtOnce', {}) },
  { weight: 4, arbitrary: of('powerCut', { seed: fc.nat({ max: 1_000 }) }) },
  { weight: 2, arbitrary: of('indexLost', { seed: fc.nat({ max: 1_000 }) }) },
  {
    weight: 5,
    arbitrary: of('failWrites', {
      database,
      error: fc.constantFrom('ENOSPC', 'EIO'),
      leaves: fc.constantFrom('torn', 'whole', 'nothing'),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: of('failOpens', { database }) },
  { weight: 2, arbitrary: of('slowWrites', { database, ms: fc.constantFrom(5, 500) }) },
  { weight: 1, arbitrary: of('hangWrites', { database }) },
  { weight: 1, arbitrary: of('fillDisk', {}) },
  { weight: 3, arbitrary: of('heal', {}) },
  { weight: 3, arbitrary: of('checkpoint', {}) },
  { weight: 3, arbitrary: of('audit', {}) },
  { weight: 2, arbitrary: of('rebuild', {}) },
)

export const aScript: fc.Arbitrary<Command[]> = fc.array(aCommand, {
  minLength: 1,
  maxLength: 100,
  size: 'max',
})

export const commandTypes: readonly CommandType[] = [
  'createTopic',
  'createShortTopic',
  'endTopic',
  'createGroup',
  'endGroup',
  'send',
  'receive',
  'abortedReceive',
  'renewedReceive',
  'loseClient',
  'attemptedReceive',
  'resetOffsets',
  'pauseGroup',
  'ack',
  'ackTwice',
  'extend',
  'deadLetter',
  'advance',
  'clockJump',
  'restart',
  'closeAtOnce',
  'powerCut',
  'indexLost',
  'failWrites',
  'failOpens',
  'slowWrites',
  'hangWrites',
  'fillDisk',
  'heal',
  'checkpoint',
  'audit',
  'rebuild',
]
