import { createCommitLogActor } from '../../../actors/commit-log/commit-log.actor.ts'
import { CommitLog } from '../../../actors/commit-log/commit-log.ts'
import { type CommitLogSettings, commitLogDefaults } from '../../../actors/commit-log/settings.ts'
import { xstateClock } from '../../../actors/system/xstate-clock.ts'
import { isBrokerError } from '../../../model/errors.ts'
import type { Logger } from '../../../model/ports.ts'
import {
  encodeDeliveryFact,
  isDeliveryFact,
  readDeliveriesAddress,
} from '../../../storage/codec/delivery-fact.ts'
import { recordsOf } from '../../../storage/codec/record.ts'
import { encodeRegistryFact, readRegistryFact } from '../../../storage/codec/registry-fact.ts'
import type { PlaceEvent } from '../../../storage/crashable/crashable-events.ts'
import { CrashablePlace } from '../../../storage/crashable/crashable-place.ts'
import { seededRandom } from '../../support/random.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'

const quiet: Logger = { info: () => {}, warn: () => {}, error: () => {} }

export const tiny: CommitLogSettings = {
  ...commitLogDefaults,
  bytesMax: 4 << 10,
  chunkBytes: 128,
  slabBytes: 1 << 10,
  commitChunksMax: 3,
  writeTimeoutMs: 3_000,
  outcomeDeadlineMs: 1_000,
  backoff: { msBase: 50, msMax: 1_000 },
}

/** Facts that only carry a number, one durable and one that nobody waits for. */
export const durable = (number: number): Buffer =>
  encodeRegistryFact({ type: 'groupEnded', groupId: number })
export const buffered = (number: number): Buffer =>
  encodeDeliveryFact(
    { groupId: number, topicId: 1, queueId: 0 },
    { type: 'acked', runs: [number, 1] },
  )

/** A CommitLog alone, on a medium that fails when told to. */
export const aLog = async (settings: CommitLogSettings = tiny) => {
  const clock = new SimulatedClock()
  const events: PlaceEvent[] = []
  const onEvent = (event: PlaceEvent) => events.push(event)
  const place = new CrashablePlace({ random: seededRandom(1), clock, onEvent })
  const log = new CommitLog({ clock, logger: quiet, place, settings })
  const actor = createCommitLogActor(
    { log, settings, logger: quiet, recover: async () => {} },
    { clock: xstateClock(clock) },
  )
  actor.start()
  await clock.settle()

  /** Admits a durable fact; what its caller hears is put in `answers` in that order. */
  const answers: string[] = []
  const consequences: string[] = []
  const send = (number: number) => {
    const admitted = log.admitFact(durable(number), 'durable', {
      synced: () => consequences.push(`${number} synced`),
      gone: () => consequences.push(`${number} gone`),
    })
    log.whenSynced(admitted).then(
      () => answers.push(`${number} done`),
      (error: unknown) =>
        answers.push(`${number} ${isBrokerError(error) ? error.code : String(error)}`),
    )
    return admitted.chunk.offset + admitted.at
  }

  /** Every numbered fact on the medium, in order: `d` durable, `b` buffered. */
  const facts = async (): Promise<string[]> => {
    const found: string[] = []
    await clock.until(
      (async () => {
        for await (const step of log.chunks.scan(0)) {
          if (step.type === 'gap') throw new Error(`nothing is at ${step.from}`)
          for (const { type, payload, version } of recordsOf(step.bytes, step.offset)) {
            if (isDeliveryFact(type)) found.push(`b${readDeliveriesAddress(payload).groupId}`)
            else {
              const fact = readRegistryFact(type, payload, version)
              if (fact?.type === 'groupEnded') found.push(`d${fact.groupId}`)
            }
          }
        }
      })(),
    )
    return found
  }
  return { clock, place, log, actor, events, answers, consequences, send, facts }
}
