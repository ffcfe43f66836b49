import { groupHashOf } from '../../model/message/message-group.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import { decodeProperties, encodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem, encodeSystem } from '../../model/message/system-block.ts'
import { javaHash } from '../../model/wire/hash.ts'
import { factType } from '../../storage/codec/fact-type.ts'
import { type MessageContent, redrivePrefix } from '../../storage/codec/message-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import { unitOf } from '../broker/replay.ts'
import type { Admitted, CommitLog } from '../commit-log/commit-log.ts'
import type { Topic } from '../topic/topic.ts'
import { isThere, type Letter } from './letter.ts'

export interface RedriveDeps {
  readonly state: BrokerState
  readonly log: CommitLog
}

export interface Redriven {
  readonly redriven: number
  /** Topics of origin that do not exist any more. */
  readonly missing: ReadonlySet<string>
}

/**
 * Sends letters back to where they came from. Each copy and the end of its letter are one fact: a
 * crash leaves the letter or the copy. Under the checkpoint's lock, as a trim: letters end when
 * that is synced, and no checkpoint may say so before.
 */
export const redriveLetters = async (
  deps: RedriveDeps,
  topic: Topic,
  letters: readonly Letter[],
): Promise<Redriven> => {
  const missing = new Set<string>()
  const admitted = new Map<Letter, Admitted>()
  let failure: unknown
  for (const letter of letters) {
    if (topic.status !== 'serving' || !isThere(letter)) continue
    const { origin } = decodeSystem(letter.message.system)
    const target = origin && deps.state.topicNamed(origin.topic)
    if (target?.status !== 'serving') {
      missing.add(origin?.topic ?? '')
      continue
    }
    try {
      admitted.set(letter, admitCopy(deps, target, letter))
    } catch (error) {
      failure = error
      break
    }
  }
  // Also when one was refused: what was admitted before it ends when it is synced.
  const outcomes = await Promise.allSettled(
    [...admitted.values()].map((each) => deps.log.whenSynced(each)),
  )
  for (const outcome of outcomes) if (outcome.status === 'rejected') failure ??= outcome.reason
  if (failure !== undefined) throw failure
  return { redriven: admitted.size, missing }
}

const admitCopy = ({ state, log }: RedriveDeps, target: Topic, { message }: Letter): Admitted => {
  target.gate.passAdding()
  const { content, messageGroup } = originalOf(message)
  const queue = target.route(messageGroup)
  const { topicId, queueId, queueOffset } = message
  const letter = { topicId, queueId, queueOffset }
  const place = {
    topicId: target.topicId,
    queueId: queue.queueId,
    queueOffset: queue.admittedEnd,
    storeAtMs: log.storeAtMs(),
  }
  const admitted = log.admitMessage(place, content, {
    type: factType.messageRedriven,
    prefix: redrivePrefix(letter),
  })
  const { chunk, at, size } = admitted
  state.foldAppended(target, queue, unitOf(content, { chunk: chunk.offset, at, size }))
  chunk.touch(queue, queue.admittedEnd)
  chunk.consequences.push({ synced: () => state.foldLetterEnded(letter, chunk.offset + at) })
  return admitted
}

/** The message as it was before it died: tag, keys, properties and message group. */
const originalOf = (
  message: StoredMessage,
): { readonly content: MessageContent; readonly messageGroup: string } => {
  const { origin, ...system } = decodeSystem(message.system)
  const { DLQ_REASON: _, ...properties } = decodeProperties(message.properties)
  const messageGroup = origin?.messageGroup ?? ''
  const content = {
    type: messageGroup === '' ? ('NORMAL' as const) : ('FIFO' as const),
    tagsCode: javaHash(system.tag),
    groupHash: groupHashOf(messageGroup),
    system: encodeSystem({ ...system, messageGroup }),
    properties: encodeProperties(properties),
    body: message.body,
  }
  return { content, messageGroup }
}
