import { z } from '@hono/zod-openapi'
import { requestKinds } from '../../model/tier/requests.ts'

const Traffic = z.object({
  requests: z.record(z.enum(requestKinds), z.number()),
  sentBytes: z.number(),
  receivedBytes: z.number(),
  failed: z.number(),
})

const Queue = z.object({
  queueId: z.number(),
  state: z.string().openapi({ example: 'uploading' }),
  reason: z.string().optional().openapi({ description: 'Why it waits, when something failed.' }),
  nextTryInMs: z.number().optional(),
  tierMin: z.number().optional().openapi({ description: 'First offset in the tier.' }),
  tierEnd: z.number().optional().openapi({ description: 'One past the last one there.' }),
  localMin: z.number().openapi({ description: 'First offset in the log.' }),
  offsetMax: z.number(),
  behind: z.number().openapi({ description: 'Messages that the tier does not have yet.' }),
})

const Topic = z.object({
  topic: z.string(),
  topicId: z.number(),
  state: z.string().openapi({ example: 'serving' }),
  objects: z.number(),
  bytes: z.number(),
  traffic: Traffic.openapi({ description: 'Since the broker started.' }),
  costPerMonth: z.number(),
  queues: z.array(Queue),
})

export const Status = z
  .object({
    store: z.string().openapi({ example: 's3://bucket/prefix' }),
    namespace: z.string().openapi({ description: 'Under which this data directory writes.' }),
    buffers: z.object({
      buffers: z.number(),
      bytes: z.number(),
      bytesMax: z.number(),
      highWaterBytes: z.number(),
      waiters: z.number(),
    }),
    cache: z.object({ bytes: z.number(), bytesMax: z.number(), frames: z.number() }),
    cost: z.object({
      perMonth: z.number().openapi({ description: 'Estimated, by the prices in the settings.' }),
      budgetPerMonth: z.number().openapi({ description: '0: no budget.' }),
      isPaused: z.boolean().openapi({ description: 'Offloading waits for the budget.' }),
    }),
    topics: z.array(Topic),
  })
  .openapi('TierStatus')

export const Residue = z
  .object({
    objects: z.array(
      z.object({
        key: z.string(),
        bytes: z.number(),
        modifiedMs: z.number().openapi({ description: "By the store's clock." }),
        removedAfterMs: z.number().openapi({ description: 'When the janitor removes it.' }),
      }),
    ),
  })
  .openapi('TierResidue')
