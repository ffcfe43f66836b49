import * as assert from 'uvu/assert'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import type { Delivery } from '../../model/ports.ts'
import type { Sent, SentMessages } from './sent.ts'

/** What one group was given of one message, as its consumers know it. */
interface Progress {
  readonly group: GroupModel
  readonly sent: Sent
  readonly place: readonly [queueId: number, offset: number]
  /** The newest attempt is one of these: after a crash nobody knows which. */
  attemptMin: number
  attemptMax: number
  /** Must not come again before, monotonic. */
  untilMs: number
  isRenewed: boolean
  newest: ReceiptHandle | undefined
  acked: 'no' | 'yes' | 'maybe'
  dead: 'no' | 'yes' | 'maybe'
  /** As it is known to be on disk. */
  kept: { attempt: number; untilMs: number; isAcked: boolean }
}

export interface GroupModel {
  readonly groupId: number
  readonly name: string
  readonly attemptsMax: number
  /** Only messages with this tag, when it has one. */
  readonly tag: string | undefined
  /** Of all dead letters of this name, not only of this incarnation. */
  state: 'serving' | 'doubtful' | 'ended'
}

export interface Seen {
  readonly nowMs: number
  /** Monotonic minus wall clock. */
  readonly skewMs: number
  readonly isRenewed: boolean
}

/** Deliveries of every group by message: the promises about redelivery, order and dead letters. */
export class Consumed {
  readonly #sent: SentMessages
  readonly #progress = new Map<string, Progress>()
  /** Answers that nobody heard, by group and topic: each may have been one more attempt. */
  readonly #lostAnswers = new Map<string, number>()

  constructor(sent: SentMessages) {
    this.#sent = sent
  }

  /** One answer of a receive, in the order in which it was given. */
  delivered(group: GroupModel, deliveries: readonly Delivery[], seen: Seen): void {
    const batch = new Set<number>()
    for (const delivery of deliveries) {
      const sent = this.#sent.seen(delivery)
      assert.ok(
        group.tag === undefined || sent.tag === group.tag,
        `${sent.number} has tag ${sent.tag}, ${group.name} wants ${group.tag}`,
      )
      const { queueId, queueOffset } = delivery.message
      const progress = this.#of(group, sent, `${queueId}/${queueOffset}`)
      this.#mayCome(group, progress, delivery, seen)
      if (sent.messageGroup !== '') this.#keepsOrder(group, progress, batch)
      batch.add(sent.number)
      progress.attemptMin = delivery.attempt
      progress.attemptMax = delivery.attempt
      progress.untilMs = delivery.handle.invisibleUntilMs + seen.skewMs
      progress.isRenewed = seen.isRenewed
      progress.newest = delivery.handle
      progress.acked = 'no'
      progress.dead = 'no'
    }
  }

  /** A handle whose time is over is accepted where it changes nothing any more. */
  acked(group: GroupModel, delivery: Delivery, isLive: boolean): void {
    const progress = this.#find(group.groupId, delivery)
    if (progress === undefined || progress.dead === 'yes' || progress.acked === 'yes') return
    progress.acked = isLive && progress.dead === 'no' ? 'yes' : 'maybe'
  }

  extended(group: GroupModel, delivery: Delivery, handle: ReceiptHandle, untilMs: number): void {
    const progress = this.#find(group.groupId, delivery)
    if (progress === undefined) return
    progress.untilMs = untilMs
    progress.newest = handle
    progress.isRenewed = false
  }

  /** `maybe`: the answer was a failure, and the outcome is open. */
  deadLettered(group: GroupModel, delivery: Delivery, outcome: 'yes' | 'maybe'): void {
    const progress = this.#find(group.groupId, delivery)
    if (progress === undefined) return
    if (progress.dead !== 'yes') progress.dead = outcome
  }

  /** A dead letter of this message was seen. From now on the group never gets it again. */
  hasDeadLetter(group: GroupModel, sent: Sent): void {
    if (sent.place === undefined) return
    const progress = this.#of(group, sent, sent.place)
    assert.is.not(progress.acked, 'yes', `${sent.number} is acknowledged and dead-lettered`)
    progress.dead = 'yes'
  }

  /** Answers of receives were lost: whatever they leased has one more attempt. */
  answerLost(name: string, topicId: number): void {
    const key = `${name} ${topicId}`
    this.#lostAnswers.set(key, (this.#lostAnswers.get(key) ?? 0) + 1)
    for (const progress of this.#progress.values())
      if (progress.group.name === name && progress.sent.topicId === topicId) progress.attemptMax++
  }

  /** Leases that the client renewed end within a second. */
  clientLost(nowMs: number): void {
    for (const progress of this.#progress.values()) {
      if (!progress.isRenewed) continue
      progress.untilMs = Math.min(progress.untilMs, nowMs)
      progress.isRenewed = false
    }
  }

  /** Everything that was answered so far is on disk. */
  kept(): void {
    for (const progress of this.#progress.values())
      progress.kept = {
        attempt: progress.attemptMin,
        untilMs: progress.untilMs,
        isAcked: progress.acked === 'yes',
      }
  }

  /** The process died: what was not on disk may be forgotten. */
  died(): void {
    for (const progress of this.#progress.values()) {
      const { kept } = progress
      progress.attemptMin = Math.min(progress.attemptMin, kept.attempt)
      progress.untilMs = Math.min(progress.untilMs, kept.untilMs)
      progress.isRenewed = false
      if (progress.acked === 'yes' && !kept.isAcked) progress.acked = 'maybe'
    }
  }

  isRenewed(groupId: number, delivery: Delivery): boolean {
    return this.#find(groupId, delivery)?.isRenewed ?? false
  }

  /** True while this handle is for certain the newest that was given of its message. */
  isNewest(group: GroupModel, delivery: Delivery, handle: ReceiptHandle): boolean {
    const progress = this.#find(group.groupId, delivery)
    if (progress?.dead !== 'no' || progress.acked !== 'no') return false
    return progress.newest === handle && progress.attemptMin === progress.attemptMax
  }

  isAcked(group: GroupModel, delivery: Delivery): boolean {
    return this.#find(group.groupId, delivery)?.acked === 'yes'
  }

  isDead(groupId: number, sent: Sent): boolean {
    for (const progress of this.#progressOf(groupId))
      if (progress.sent === sent) return progress.dead === 'yes'
    return false
  }

  /** True unless the group acknowledged it, if only perhaps for good, or has its dead letter. */
  isOpen(groupId: number, sent: Sent): boolean {
    for (const progress of this.#progressOf(groupId))
      if (progress.sent === sent) return progress.acked === 'no' && progress.dead !== 'yes'
    return true
  }

  #mayCome(group: GroupModel, progress: Progress, { attempt, cause }: Delivery, seen: Seen): void {
    const what = `${progress.sent.number} at ${progress.place.join('/')} for ${group.name}`
    assert.is.not(progress.acked, 'yes', `${what}: comes again after its acknowledgement`)
    assert.is.not(progress.dead, 'yes', `${what}: comes again after its dead letter`)
    assert.ok(!progress.isRenewed, `${what}: comes again while its client renews it`)
    assert.ok(
      progress.untilMs <= seen.nowMs,
      `${what}: comes again ${progress.untilMs - seen.nowMs} ms early (${cause})`,
    )
    assert.ok(
      attempt > progress.attemptMin && attempt <= progress.attemptMax + 1,
      `${what}: attempt ${attempt} after ${progress.attemptMin} to ${progress.attemptMax}`,
    )
    assert.ok(attempt <= group.attemptsMax, `${what}: attempt ${attempt} of ${group.attemptsMax}`)
  }

  /** No message while an earlier one of its message group is neither done nor taken with it. */
  #keepsOrder(group: GroupModel, { sent, place }: Progress, batch: ReadonlySet<number>): void {
    const bounds = this.#sent.incarnations.get(sent.topicId)?.bounds
    for (const earlier of this.#sent.all) {
      if (earlier.topicId !== sent.topicId || earlier.messageGroup !== sent.messageGroup) continue
      if (earlier.place === undefined || batch.has(earlier.number)) continue
      if (group.tag !== undefined && earlier.tag !== group.tag) continue
      const [queueId, offset] = earlier.place.split('/').map(Number)
      if (queueId !== place[0] || (offset as number) >= place[1]) continue
      if ((offset as number) < (bounds?.get(place[0])?.min ?? 0)) continue
      const progress = this.#progress.get(keyOf(group.groupId, sent.topicId, earlier.place))
      const attemptMax = progress?.attemptMax ?? this.#lost(group.name, sent.topicId)
      const isDone =
        (progress !== undefined && (progress.acked !== 'no' || progress.dead !== 'no')) ||
        attemptMax >= group.attemptsMax
      assert.ok(isDone, `${sent.number} overtakes ${earlier.number} in ${group.name}`)
    }
  }

  #of(group: GroupModel, sent: Sent, place: string): Progress {
    const { topicId } = sent
    const key = keyOf(group.groupId, topicId, place)
    const known = this.#progress.get(key)
    if (known) return known
    const progress: Progress = {
      group,
      sent,
      place: place.split('/').map(Number) as [number, number],
      attemptMin: 0,
      attemptMax: this.#lost(group.name, topicId),
      untilMs: 0,
      isRenewed: false,
      newest: undefined,
      acked: 'no',
      dead: 'no',
      kept: { attempt: 0, untilMs: 0, isAcked: false },
    }
    this.#progress.set(key, progress)
    return progress
  }

  #lost(name: string, topicId: number): number {
    return this.#lostAnswers.get(`${name} ${topicId}`) ?? 0
  }

  #find(groupId: number, { message }: Delivery): Progress | undefined {
    const { topicId, queueId, queueOffset } = message
    return this.#progress.get(keyOf(groupId, topicId, `${queueId}/${queueOffset}`))
  }

  *#progressOf(groupId: number): Generator<Progress> {
    for (const [key, progress] of this.#progress) if (key.startsWith(`${groupId} `)) yield progress
  }
}

const keyOf = (groupId: number, topicId: number, place: string): string =>
  `${groupId} ${topicId} ${place}`
