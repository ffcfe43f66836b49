import type { CoreBroker } from '../../actors/broker/broker.ts'
import type { Topic } from '../../actors/topic/topic.ts'
import { admitRetention, trim, unitAt } from '../../actors/upkeep/trim.ts'
import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import { type TierObject, tierObjectKey } from '../../model/tier/tier-objects.ts'
import { readMessage } from '../../storage/codec/message-fact.ts'
import { recordAt } from '../../storage/codec/record.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import { SegmentWriter } from '../../storage/tier/segment-writer.ts'

export const NAMESPACE = '00000000000000aa'
const TOKEN = 'ef'.repeat(16)
/** Names of a message: an id and some keys. */
const NAMES_MAX = 20

/** Offsets of a queue up to which it goes into the next object. */
export interface SectionTo {
  readonly queueId: number
  readonly to: number
}

/**
 * What an offloader does, step by step and by hand: writes segments of what the broker stored, and
 * admits the facts that say so.
 */
export class Tiered {
  readonly broker: CoreBroker
  readonly store: ObjectStore

  constructor(broker: CoreBroker, store: ObjectStore) {
    this.broker = broker
    this.store = store
  }

  topic(name: string): Topic {
    const topic = this.broker.state.topicNamed(name)
    if (topic === undefined) throw new Error(`no topic ${name}`)
    return topic
  }

  /** One object; the first of the sections leads. Each goes on where its queue's last one ended. */
  async offload(name: string, sections: readonly SectionTo[]): Promise<TierObject> {
    const topic = this.topic(name)
    const { topicId } = topic
    if (!topic.tier.isBegunIn(NAMESPACE))
      await this.admit({ type: 'tierBegun', topicId, namespace: NAMESPACE })
    const content = await this.#contentOf(topic, sections)
    const bytes = content
      .flatMap(({ messages }) => messages)
      .reduce((sum, { record }) => sum + SegmentWriter.bytesFor(record.length, NAMES_MAX), 1 << 10)
    const identity = { token: TOKEN, namespace: NAMESPACE, topicId, topic: name }
    const writer = new SegmentWriter(Buffer.alloc(bytes), identity)
    for (const { queueId, from, messages } of content) {
      writer.beginSection(queueId, from)
      for (const { unit, record, storeAtMs } of messages)
        if (!writer.add(unit, record, storeAtMs)) throw new Error('the segment is full')
      writer.endSection()
    }
    const written = writer.finish()
    const [leading] = content
    const object: TierObject = {
      namespace: NAMESPACE,
      leader: leading?.queueId ?? 0,
      leaderFrom: leading?.from ?? 0,
      bytes: written.bytes.length,
      storedAtMs: Math.floor(this.broker.clock.wallMs()),
      sections: written.footer.sections,
    }
    await this.store.put(tierObjectKey(topicId, object), [written.bytes], { ifAbsent: true })
    await this.admit({ type: 'tierAdded', topicId, object })
    return object
  }

  /** What is below leaves the log. */
  async trim(name: string, queueId: number, localMin: number): Promise<void> {
    const { state, log, index, clock, components } = this.broker
    const topic = this.topic(name)
    const queue = topic.queues[queueId]
    const deps = { state, log, index, clock, logger: components.logger }
    if (queue) await trim(deps, topic, queue, localMin)
  }

  /** Sections that end there or before go; then, from the store, objects without any. */
  async expire(name: string, queueId: number, offsetMin: number): Promise<void> {
    const { state, log, components } = this.broker
    const topic = this.topic(name)
    const { topicId, tier, queues } = topic
    const floor = tier.floorOf(queueId, queues[queueId]?.localMin ?? 0, offsetMin)
    const fact = { type: 'tierExpired', topicId, queueId, offsetMin, floor } as const
    await admitRetention({ state, log, logger: components.logger }, fact, name)
    const gone = topic.tier.drainCondemned()
    await this.store.remove(gone.map((object) => tierObjectKey(topicId, object)))
    for (const object of gone) this.broker.tierReader?.dropObject(topicId, object)
  }

  async admit(fact: RegistryFact): Promise<void> {
    const { state, log } = this.broker
    const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
      synced: () => state.foldRegistry(fact, admitted.chunk.offset + admitted.at),
    })
    await log.whenSynced(admitted)
  }

  async #contentOf(topic: Topic, sections: readonly SectionTo[]) {
    const content = []
    for (const { queueId, to } of sections) {
      const queue = topic.queues[queueId]
      if (queue === undefined) throw new Error(`no queue ${queueId}`)
      const from = topic.tier.endOf(queueId) ?? queue.localMin
      const messages = []
      for (let offset = from; offset < to; offset++) {
        const unit = await unitAt(queue, offset)
        const chunk = await this.broker.log.load(unit.chunk)
        if (chunk === undefined) throw new Error(`no chunk at ${unit.chunk}`)
        const { type, payload } = recordAt(chunk, unit.chunk, unit.at)
        const { storeAtMs } = readMessage(type, payload)
        messages.push({ unit, record: chunk.subarray(unit.at, unit.at + unit.size), storeAtMs })
      }
      if (messages.length > 0) content.push({ queueId, from, messages })
    }
    return content
  }
}
