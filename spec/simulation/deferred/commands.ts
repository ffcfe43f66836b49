import fc from 'fast-check'

/** What may happen to messages that wait, as plain data. */
export type Command =
  | { readonly type: 'createTopic'; readonly topic: number }
  | { readonly type: 'endTopic'; readonly topic: number }
  | {
      readonly type: 'schedule'
      readonly topic: number
      readonly count: number
      readonly inMs: number
      readonly isAwaited: boolean
    }
  | { readonly type: 'send'; readonly topic: number; readonly bytes: number }
  | { readonly type: 'recall'; readonly pick: number }
  | { readonly type: 'recallEnded'; readonly pick: number }
  | { readonly type: 'cancel'; readonly pick: number }
  | { readonly type: 'cancelAll'; readonly topic: number; readonly withinMs: number }
  | { readonly type: 'reschedule'; readonly pick: number; readonly inMs: number }
  | { readonly type: 'fire'; readonly pick: number }
  | { readonly type: 'prepare'; readonly topic: number; readonly laterMs: number }
  | { readonly type: 'resolve'; readonly pick: number; readonly commit: boolean }
  | { readonly type: 'advance'; readonly ms: number }
  | { readonly type: 'jumpWall'; readonly ms: number }
  | { readonly type: 'restart' }
  | { readonly type: 'powerCut'; readonly seed: number }
  | { readonly type: 'indexLost'; readonly seed: number }
  | {
      readonly type: 'failWrites'
      readonly database: 'commit-log' | 'index'
      readonly leaves: 'torn' | 'whole' | 'nothing'
      readonly count: number
    }
  | { readonly type: 'slowWrites'; readonly ms: number }
  | { readonly type: 'fillDisk' }
  | { readonly type: 'heal' }
  | { readonly type: 'checkpoint' }
  | { readonly type: 'audit' }
  | { readonly type: 'rebuild' }

const topic = fc.nat({ max: 1 })
const pick = fc.nat({ max: 60 })
const inMs = fc.constantFrom(0, 1, 10, 500, 3_000, 12_000, 40_000, 150_000, 3_000_000)

const of = <Type extends Command['type']>(
  type: Type,
  fields: {
    [Key in Exclude<keyof Extract<Command, { type: Type }>, 'type'>]: fc.Arbitrary<unknown>
  },
): fc.Arbitrary<Command> =>
  fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Command>

const seed = fc.nat({ max: 1_000 })

const aCommand: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: of('createTopic', { topic }) },
  { weight: 2, arbitrary: of('endTopic', { topic }) },
  {
    weight: 18,
    arbitrary: of('schedule', {
      topic,
      count: fc.constantFrom(1, 1, 2, 7, 20),
      inMs,
      isAwaited: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: of('send', { topic, bytes: fc.constantFrom(10, 700) }) },
  { weight: 6, arbitrary: of('recall', { pick }) },
  { weight: 3, arbitrary: of('recallEnded', { pick }) },
  { weight: 2, arbitrary: of('cancel', { pick }) },
  { weight: 1, arbitrary: of('cancelAll', { topic, withinMs: fc.constantFrom(5_000, 100_000) }) },
  { weight: 5, arbitrary: of('reschedule', { pick, inMs }) },
  { weight: 3, arbitrary: of('fire', { pick }) },
  { weight: 5, arbitrary: of('prepare', { topic, laterMs: fc.constantFrom(0, 0, 20_000) }) },
  { weight: 5, arbitrary: of('resolve', { pick, commit: fc.boolean() }) },
  {
    weight: 12,
    arbitrary: of('advance', { ms: fc.constantFrom(1, 10, 499, 1_000, 5_000, 31_000, 200_000) }),
  },
  {
    weight: 3,
    arbitrary: of('jumpWall', {
      ms: fc.constantFrom(-3_600_000, -20_000, -50, 50, 20_000, 3_600_000),
    }),
  },
  { weight: 3, arbitrary: of('restart', {}) },
  { weight: 5, arbitrary: of('powerCut', { seed }) },
  { weight: 2, arbitrary: of('indexLost', { seed }) },
  {
    weight: 5,
    arbitrary: of('failWrites', {
      database: fc.constantFrom('commit-log', 'commit-log', 'index'),
      leaves: fc.constantFrom('torn', 'whole', 'nothing'),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: of('slowWrites', { ms: fc.constantFrom(5, 500) }) },
  { weight: 1, arbitrary: of('fillDisk', {}) },
  { weight: 3, arbitrary: of('heal', {}) },
  { weight: 4, arbitrary: of('checkpoint', {}) },
  { weight: 3, arbitrary: of('audit', {}) },
  { weight: 2, arbitrary: of('rebuild', {}) },
)

export const aScript: fc.Arbitrary<Command[]> = fc.array(aCommand, {
  minLength: 1,
  maxLength: 60,
  size: 'max',
})
