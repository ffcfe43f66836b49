import fc from 'fast-check'
import { requestKinds, type RequestKind } from '../../../model/tier/requests.ts'
import { type StoreFault, storeFaults } from './faulty-store.ts'

/** What may happen to a topic's history, as plain data. */
export type Command =
  | { readonly type: 'createTopic'; readonly topic: number }
  | { readonly type: 'endTopic'; readonly topic: number }
  | {
      readonly type: 'send'
      readonly topic: number
      readonly count: number
      readonly bytes: number
      readonly isGrouped: boolean
    }
  | { readonly type: 'receive'; readonly topic: number; readonly batchMax: number }
  | {
      readonly type: 'reset'
      readonly topic: number
      readonly to: 'earliest' | 'latest' | number
    }
  | {
      readonly type: 'find'
      readonly topic: number
      readonly agoMs: number
      readonly forMs: number
    }
  | { readonly type: 'findNamed'; readonly pick: number }
  | { readonly type: 'offload' }
  | {
      readonly type: 'breakStore'
      readonly fault: StoreFault
      readonly kinds: readonly RequestKind[]
      readonly count: number
    }
  | { readonly type: 'healStore' }
  | { readonly type: 'land' }
  | { readonly type: 'advance'; readonly ms: number }
  | { readonly type: 'restart' }
  | { readonly type: 'powerCut'; readonly seed: number }
  | { readonly type: 'indexLost'; readonly seed: number }
  | {
      readonly type: 'failWrites'
      readonly database: 'commit-log' | 'index'
      readonly leaves: 'torn' | 'whole' | 'nothing'
      readonly count: number
    }
  | { readonly type: 'heal' }
  | { readonly type: 'checkpoint' }
  | { readonly type: 'audit' }

const topic = fc.nat({ max: 1 })
const seed = fc.nat({ max: 1_000 })
const ms = fc.constantFrom(1, 400, 1_000, 3_500, 11_000, 40_000, 120_000)

const of = <Type extends Command['type']>(
  type: Type,
  fields: {
    [Key in Exclude<keyof Extract<Command, { type: Type }>, 'type'>]: fc.Arbitrary<unknown>
  },
): fc.Arbitrary<Command> =>
  fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Command>

const weighted: readonly (readonly [weight: number, arbitrary: fc.Arbitrary<Command>])[] = [
  [3, of('createTopic', { topic })],
  [2, of('endTopic', { topic })],
  [
    22,
    of('send', {
      topic,
      count: fc.constantFrom(1, 2, 5, 20),
      bytes: fc.constantFrom(10, 10, 300, 3_000),
      isGrouped: fc.boolean(),
    }),
  ],
  [8, of('receive', { topic, batchMax: fc.constantFrom(1, 7, 32) })],
  [4, of('reset', { topic, to: fc.oneof(fc.constantFrom('earliest', 'latest'), ms) })],
  [4, of('find', { topic, agoMs: ms, forMs: ms })],
  [4, of('findNamed', { pick: fc.nat({ max: 200 }) })],
  [6, of('offload', {})],
  [
    8,
    of('breakStore', {
      fault: fc.constantFrom(...storeFaults),
      kinds: fc.oneof(
        fc.constant(requestKinds),
        fc.constantFrom(...requestKinds).map((kind) => [kind]),
      ),
      count: fc.constantFrom(1, 1, 2, 30),
    }),
  ],
  [5, of('healStore', {})],
  [3, of('land', {})],
  [22, of('advance', { ms })],
  [3, of('restart', {})],
  [7, of('powerCut', { seed })],
  [2, of('indexLost', { seed })],
  [
    3,
    of('failWrites', {
      database: fc.constantFrom('commit-log', 'commit-log', 'index'),
      leaves: fc.constantFrom('torn', 'whole', 'nothing'),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  ],
  [3, of('heal', {})],
  [4, of('checkpoint', {})],
  [3, of('audit', {})],
]

export const aScript: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary }))),
  { minLength: 1, maxLength: 60, size: 'max' },
)
