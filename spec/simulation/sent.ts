import * as assert from 'uvu/assert'
import type { Delivery, TopicDescription } from '../../model/ports.ts'

/** A message as its producer knows it. */
export interface Sent {
  readonly number: number
  readonly topicId: number
  readonly life: number
  readonly atMs: number
  readonly tag: string
  readonly messageGroup: string
  /** `lost`: nobody heard the answer, so it may or may not be there. */
  state: 'waiting' | 'acknowledged' | 'refused' | 'lost'
  place: string | undefined
}

/** A topic's incarnation as its users know it. */
export interface Incarnation {
  readonly topicId: number
  readonly name: string
  readonly ageMs: number
  readonly bytes: number
  /** `doubtful`: somebody asked for its end and heard no clear answer. */
  state: 'serving' | 'doubtful' | 'ended'
  /** By `queue/offset`: which message was ever seen there. */
  readonly places: Map<string, number>
  /** By queue: the highest bounds that were seen. */
  readonly bounds: Map<number, { min: number; max: number }>
}

export const bodyOf = (number: number, bytes: number): string =>
  `#${number}#`.padEnd(Math.max(bytes, 6), '.')

export const numbersIn = (bytes: Uint8Array): number[] =>
  [
    ...Buffer.from(bytes)
      .toString('latin1')
      .matchAll(/#(\d+)#/g),
  ].map(([, digits]) => Number(digits))

export const numberOf = ({ message }: Delivery): number => numbersIn(message.body)[0] ?? -1

/** What producers were told, and what of it was seen: arrays and maps, and nothing else. */
export class SentMessages {
  readonly all: Sent[] = []
  readonly incarnations = new Map<number, Incarnation>()
  /** On the medium for certain, or possibly, as the events of the place say. */
  readonly durable = new Set<number>()
  readonly #started = new Set<number>()

  begin(fields: Pick<Sent, 'topicId' | 'life' | 'atMs' | 'tag' | 'messageGroup'>): Sent {
    const sent: Sent = { ...fields, number: this.all.length, state: 'waiting', place: undefined }
    this.all.push(sent)
    return sent
  }

  acknowledged(sent: Sent, place: string): void {
    assert.ok(this.durable.has(sent.number), `${sent.number} is answered before it is synced`)
    sent.state = 'acknowledged'
    sent.place = place
    this.#stands(sent, place)
  }

  /** A message of a topic was received: it must be one that may be there, where it was before. */
  seen(delivery: Delivery): Sent {
    const { topicId, queueId, queueOffset } = delivery.message
    const number = numberOf(delivery)
    const sent = this.all[number]
    assert.ok(sent, `message ${number} was never sent`)
    assert.ok(this.durable.has(number), `${number} is visible before it is synced`)
    assert.is.not(sent.state, 'refused', `${number} was refused and is there`)
    if (sent.topicId === topicId) this.#stands(sent, `${queueId}/${queueOffset}`)
    return sent
  }

  writeStarted(numbers: readonly number[]): void {
    for (const number of numbers) this.#started.add(number)
  }

  writeSynced(numbers: readonly number[]): void {
    for (const number of numbers) this.durable.add(number)
  }

  /** What an opening finds is durable: that may be everything whose write began. */
  opened(): void {
    for (const number of this.#started) this.durable.add(number)
    this.#started.clear()
  }

  /** The process died: nobody hears the answers any more. */
  died(): void {
    for (const sent of this.all) if (sent.state === 'waiting') sent.state = 'lost'
  }

  /** Bounds only ever grow. */
  bounds({ topicId, offsets }: TopicDescription): void {
    const incarnation = this.incarnations.get(topicId)
    if (incarnation === undefined) return
    for (const { queueId, offsetMin, offsetMax } of offsets) {
      const before = incarnation.bounds.get(queueId) ?? { min: 0, max: 0 }
      assert.ok(offsetMin >= before.min, `queue ${queueId}: first offset went back`)
      assert.ok(offsetMax >= before.max, `queue ${queueId}: last offset went back`)
      assert.ok(offsetMin <= offsetMax, `queue ${queueId}: begins behind its end`)
      incarnation.bounds.set(queueId, { min: offsetMin, max: offsetMax })
    }
  }

  /** Everything that was received from a topic, against everything that it should hold. */
  whole(
    description: TopicDescription,
    found: ReadonlyMap<string, number>,
    { nowMs, copiesMax }: { nowMs: number; copiesMax: number },
  ): void {
    this.bounds(description)
    const { topicId, name, offsets } = description
    const expected: string[] = []
    for (const { queueId, offsetMin, offsetMax } of offsets)
      for (let offset = offsetMin; offset < offsetMax; offset++)
        expected.push(`${queueId}/${offset}`)
    assert.equal([...found.keys()].sort(), expected.sort(), `${name}: offsets have no hole`)
    const copies = new Map<number, number>()
    for (const number of found.values()) copies.set(number, (copies.get(number) ?? 0) + 1)
    assert.ok(Math.max(0, ...copies.values()) <= copiesMax, `${name}: a message is there twice`)
    const incarnation = this.incarnations.get(topicId)
    if (incarnation === undefined) return
    for (const sent of this.all) {
      if (sent.topicId !== topicId || sent.state !== 'acknowledged') continue
      if (found.get(sent.place as string) !== sent.number)
        this.#assertExpired(sent, incarnation, nowMs)
    }
  }

  #assertExpired(sent: Sent, { bounds, ageMs, bytes, name }: Incarnation, nowMs: number): void {
    const [queueId = 0, offset = 0] = (sent.place as string).split('/').map(Number)
    const what = `${sent.number}, acknowledged at ${name} ${sent.place},`
    assert.ok(offset < (bounds.get(queueId)?.min ?? 0), `${what} is not there`)
    assert.ok(bytes > 0 || nowMs - sent.atMs >= ageMs, `${what} was removed too early`)
  }

  #stands(sent: Sent, place: string): void {
    const places = this.incarnations.get(sent.topicId)?.places
    const before = places?.get(place)
    assert.ok(
      before === undefined || before === sent.number,
      `${place} holds ${sent.number}, but held ${before}`,
    )
    assert.ok(
      sent.place === undefined || sent.place === place,
      `${sent.number} is at ${place}, but was at ${sent.place}`,
    )
    sent.place = place
    places?.set(place, sent.number)
  }
}
