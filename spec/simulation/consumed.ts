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
  /** The same as it is written. */
  untilWallMs: number
  /** As it was promised with the newest handle, whatever a crash has lost since. Monotonic. */
  promisedMs: number
  /** Under which it was given. */
  attemptId: string
  /** Somebody asked for a deadline of its own. */
  isRefused: boolean
  /** A reset made it new again: what was before may have left a dead letter. */
  wasReset: boolean
  isRenewed: boolean
  /** It was when the process died: its session may still be lost. */
  wasRenewed: boolean
  newest: ReceiptHandle | undefined
  acked: 'no' | 'yes' | 'maybe'
  dead: 'no' | 'yes' | 'maybe'
  /** As it is known to be on disk. */
  kept: {
    attempt: number
    untilMs: number
    untilWallMs: number
    isAcked: boolean
    isRefused: boolean
    isRenewed: boolean
  }
}

export interface GroupModel {
  readonly groupId: number
  readonly name: string
  readonly attemptsMax: number
  /** Only messages with this tag, when it has one. */
  readonly tag: string | undefined
  /** Of all dead letters of this name, not only of this incarnation. */
  state: 'serving' | 'doubtful' | 'ended'
  paused: 'no' | 'yes' | 'maybe'
  /** Pauses and resumptions under way. */
  pausing: number
}

/** Resets of a group's offsets on one queue. */
interface Resets {
  /** Under way: seen at any moment from now on. */
  pending: number
  /** Nobody can say whether one happened. */
  isDoubtful: boolean
  count: number
}

export interface Seen {
  readonly nowMs: number
  /** Monotonic minus wall clock. */
  readonly skewMs: number
  readonly isRenewed: boolean
  readonly attemptId: string
}

/** Deliveries of every group by message: the promises about redelivery, order and dead letters. */
export class Consumed {
  readonly #sent: SentMessages
  readonly #progress = new Map<string, Progress>()
  /** Answers that nobody heard, by group and topic: each may have been one more attempt. */
  readonly #lostAnswers = new Map<string, number>()
  /** By group, topic and queue. */
  readonly #resets = new Map<string, Resets>()
  #hasCrashed = false
  #hasLostClients = false

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
      if (delivery.cause === 'repeatedAttempt') {
        this.#mayRepeat(progress, delivery, seen)
        progress.newest = delivery.handle
        continue
      }
      const isUncertain = this.#mayBeReset(progress, delivery)
      this.#mayCome(group, progress, delivery, seen)
      if (sent.messageGroup !== '' && !isUncertain) this.#keepsOrder(group, progress, batch)
      batch.add(sent.number)
      progress.attemptMin = delivery.attempt
      progress.attemptMax = delivery.attempt
      progress.untilWallMs = delivery.handle.invisibleUntilMs
      progress.untilMs = delivery.handle.invisibleUntilMs + seen.skewMs
      progress.promisedMs = progress.untilMs
      progress.isRenewed = seen.isRenewed
      progress.wasRenewed = false
      progress.newest = delivery.handle
      progress.attemptId = seen.attemptId
      progress.isRefused = false
      progress.acked = 'no'
      progress.dead = 'no'
    }
  }

  /** What this attempt was given and certainly still holds: it must be given again. */
  heldBy(group: GroupModel, topicId: number, attemptId: string, nowMs: number): Set<number> {
    const held = new Set<number>()
    for (const progress of this.#progressOf(group.groupId)) {
      const { sent, attemptMin, attemptMax, acked, dead, untilMs } = progress
      if (sent.topicId !== topicId || progress.attemptId !== attemptId) continue
      if (attemptMin !== attemptMax || acked !== 'no' || dead !== 'no' || untilMs <= nowMs) continue
      if (this.#isTrimmed(progress) || this.#isUncertain(progress)) continue
      held.add(sent.number)
    }
    return held
  }

  // ——— resets

  resetBegun(group: GroupModel, topicId: number, queues: readonly number[]): void {
    for (const queueId of queues) this.#resetsOf(group.groupId, topicId, queueId).pending++
  }

  resetDone(
    group: GroupModel,
    topicId: number,
    results: readonly { readonly queueId: number; readonly to: number }[],
  ): void {
    for (const { queueId, to } of results) {
      const resets = this.#resetsOf(group.groupId, topicId, queueId)
      resets.pending--
      resets.count++
      resets.isDoubtful = false
      for (const sent of this.#sent.all) {
        if (sent.topicId !== topicId || sent.place === undefined) continue
        const [queue, offset = 0] = sent.place.split('/').map(Number)
        if (queue !== queueId) continue
        const progress = this.#of(group, sent, sent.place)
        makeNew(progress)
        if (offset >= to) continue
        progress.acked = 'yes'
        progress.kept.isAcked = true
      }
    }
  }

  resetEnded(
    group: GroupModel,
    topicId: number,
    queues: readonly number[],
    outcome: 'refused' | 'unknown',
  ): void {
    for (const queueId of queues) {
      const resets = this.#resetsOf(group.groupId, topicId, queueId)
      resets.pending--
      if (outcome === 'refused') continue
      resets.isDoubtful = true
      resets.count++
    }
  }

  /** Resets that may have brought messages back to groups of this name. */
  resetsOf(groups: readonly GroupModel[]): number {
    let count = 0
    for (const [key, resets] of this.#resets)
      if (groups.some(({ groupId }) => key.startsWith(`${groupId} `)))
        count += resets.count + resets.pending
    return count
  }

  /** True when this handle's deliveries were certainly reset since. */
  isVoid(group: GroupModel, delivery: Delivery, handle: ReceiptHandle): boolean {
    const progress = this.#find(group.groupId, delivery)
    const newest = progress?.newest
    return progress !== undefined && progress.wasReset && handle.resets < (newest?.resets ?? 0)
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
    progress.untilWallMs = handle.invisibleUntilMs
    progress.promisedMs = untilMs
    progress.newest = handle
    progress.isRenewed = false
    progress.wasRenewed = false
  }

  /** Somebody asks for a deadline of its own. */
  refused(group: GroupModel, delivery: Delivery): void {
    const progress = this.#find(group.groupId, delivery)
    if (progress) progress.isRefused = true
  }

  isInTime(group: GroupModel, delivery: Delivery, nowMs: number): boolean {
    return (this.#find(group.groupId, delivery)?.promisedMs ?? 0) > nowMs
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
    if (progress.wasReset || this.#isUncertain(progress)) {
      if (progress.dead === 'no') progress.dead = 'maybe'
      return
    }
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
    this.#hasLostClients = true
    for (const progress of this.#progress.values()) {
      if (!progress.isRenewed && !progress.wasRenewed) continue
      progress.untilMs = Math.min(progress.untilMs, nowMs)
      progress.isRenewed = false
      progress.wasRenewed = false
    }
  }

  /** Everything that was answered so far is on disk. */
  kept(): void {
    for (const progress of this.#progress.values())
      progress.kept = {
        attempt: progress.attemptMin,
        untilMs: progress.untilMs,
        untilWallMs: progress.untilWallMs,
        isAcked: progress.acked === 'yes',
        isRefused: progress.isRefused,
        isRenewed: progress.isRenewed,
      }
  }

  /** The process died: what was not on disk may be forgotten. */
  died(): void {
    this.#hasLostClients = true
    for (const resets of this.#resets.values()) {
      if (resets.pending === 0) continue
      resets.isDoubtful = true
      resets.count += resets.pending
      resets.pending = 0
    }
    for (const progress of this.#progress.values()) {
      const { kept } = progress
      progress.attemptMin = Math.min(progress.attemptMin, kept.attempt)
      progress.isRefused ||= kept.isRefused
      progress.untilMs = Math.min(progress.untilMs, kept.untilMs)
      progress.untilWallMs = Math.min(progress.untilWallMs, kept.untilWallMs)
      progress.wasRenewed ||= progress.isRenewed || kept.isRenewed
      progress.isRenewed = false
      if (progress.acked === 'yes' && !kept.isAcked) progress.acked = 'maybe'
    }
  }

  /** Not everything that was answered is on the medium. */
  crashed(): void {
    this.#hasCrashed = true
  }

  /** What is written as wall time means another moment when somebody has set the clock. */
  opened(skewMs: number): void {
    for (const progress of this.#progress.values())
      progress.untilMs = Math.min(progress.untilMs, progress.untilWallMs + skewMs)
  }

  isRenewed(groupId: number, delivery: Delivery): boolean {
    return this.#find(groupId, delivery)?.isRenewed ?? false
  }

  /** True while this handle is for certain the newest that was given of its message. */
  isNewest(group: GroupModel, delivery: Delivery, handle: ReceiptHandle): boolean {
    const progress = this.#find(group.groupId, delivery)
    if (progress?.dead !== 'no' || progress.acked !== 'no') return false
    if (this.#isUncertain(progress)) return false
    return progress.newest === handle && progress.attemptMin === progress.attemptMax
  }

  /** For certain: a reset under way may void its handle. */
  isAcked(group: GroupModel, delivery: Delivery): boolean {
    const progress = this.#find(group.groupId, delivery)
    return progress?.acked === 'yes' && !this.#isUncertain(progress)
  }

  isDead(groupId: number, sent: Sent): boolean {
    for (const progress of this.#progressOf(groupId))
      if (progress.sent === sent) return progress.dead === 'yes'
    return false
  }

  /** True unless the group acknowledged it, if only perhaps for good, or has its dead letter. */
  isOpen(groupId: number, sent: Sent): boolean {
    const [queueId] = (sent.place ?? '').split('/')
    const resets = this.#resets.get(keyOf(groupId, sent.topicId, queueId ?? ''))
    if (resets?.isDoubtful) return false
    for (const progress of this.#progressOf(groupId))
      if (progress.sent === sent) {
        if (progress.wasReset && progress.dead !== 'no') return false
        return progress.acked === 'no' && progress.dead !== 'yes'
      }
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
    assert.ok(this.#isTrue(progress, cause), `${what}: attempt ${attempt} because of ${cause}`)
  }

  /** A cause is given only for what happened. */
  #isTrue(progress: Progress, cause: Delivery['cause']): boolean {
    switch (cause) {
      case 'first':
        return progress.attemptMin === 0
      case 'deadline':
        return progress.attemptMax > 0
      case 'negativeAck':
        return progress.isRefused
      case 'sessionLost':
        return this.#hasLostClients
      case 'crashRecovery':
        return this.#hasCrashed
      case 'reset':
        return progress.wasReset
      case 'repeatedAttempt':
        return false
    }
  }

  /** A reset under way, or one of which nobody knows, may have made the message new. */
  #mayBeReset(progress: Progress, { attempt, cause }: Delivery): boolean {
    if (!this.#isUncertain(progress)) return false
    makeNew(progress)
    progress.isRefused = true
    progress.attemptMin = cause === 'first' ? 0 : attempt - 1
    progress.attemptMax = Math.max(cause === 'deadline' ? 1 : 0, attempt - 1)
    return true
  }

  #isUncertain({ group, sent, place }: Progress): boolean {
    const resets = this.#resets.get(keyOf(group.groupId, sent.topicId, `${place[0]}`))
    return resets !== undefined && (resets.isDoubtful || resets.pending > 0)
  }

  #isTrimmed({ sent, place }: Progress): boolean {
    const bounds = this.#sent.incarnations.get(sent.topicId)?.bounds.get(place[0])
    return place[1] < (bounds?.min ?? 0)
  }

  #resetsOf(groupId: number, topicId: number, queueId: number): Resets {
    const key = keyOf(groupId, topicId, `${queueId}`)
    const known = this.#resets.get(key)
    if (known) return known
    const resets = { pending: 0, isDoubtful: false, count: 0 }
    this.#resets.set(key, resets)
    return resets
  }

  /** The batch of an attempt again: nothing that ended, and nobody else's. */
  #mayRepeat(progress: Progress, { attempt }: Delivery, seen: Seen): void {
    const what = `${progress.sent.number} at ${progress.place.join('/')} of ${seen.attemptId}`
    assert.is.not(progress.acked, 'yes', `${what}: repeated after its acknowledgement`)
    assert.is.not(progress.dead, 'yes', `${what}: repeated after its dead letter`)
    assert.ok(attempt <= progress.attemptMax || progress.attemptMax === 0, `${what}: repeated`)
    if (progress.attemptMin !== progress.attemptMax || this.#isUncertain(progress)) return
    assert.is(attempt, progress.attemptMin, `${what}: another attempt`)
    assert.is(progress.attemptId, seen.attemptId, `${what}: was given to another`)
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
      untilWallMs: 0,
      promisedMs: 0,
      attemptId: '',
      isRefused: false,
      wasReset: false,
      isRenewed: false,
      wasRenewed: false,
      newest: undefined,
      acked: 'no',
      dead: 'no',
      kept: {
        attempt: 0,
        untilMs: 0,
        untilWallMs: 0,
        isAcked: false,
        isRefused: false,
        isRenewed: false,
      },
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

/** As if it had never been delivered. */
const makeNew = (progress: Progress): void => {
  progress.attemptMin = 0
  progress.attemptMax = 0
  progress.untilMs = 0
  progress.untilWallMs = 0
  progress.promisedMs = 0
  progress.isRenewed = false
  progress.wasRenewed = false
  progress.newest = undefined
  progress.attemptId = ''
  progress.wasReset = true
  progress.acked = 'no'
  progress.dead = 'no'
  progress.kept = {
    attempt: 0,
    untilMs: 0,
    untilWallMs: 0,
    isAcked: false,
    isRefused: false,
    isRenewed: false,
  }
}

const keyOf = (groupId: number, topicId: number, place: string): string =>
  `${groupId} ${topicId} ${place}`
