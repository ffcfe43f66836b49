import * as assert from 'uvu/assert'
import type { CoreBroker } from '../../actors/broker/broker.ts'
import { audit } from '../../actors/audit/audit.ts'
import { tagFilter } from '../../model/delivery/filter.ts'
import { sqlFilter } from '../../model/delivery/sql92/sql-filter.ts'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import { isBrokerError } from '../../model/errors.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import type { Broker, Delivery, ReceiveResult, SessionLink } from '../../model/ports.ts'
import { parseIndexKey } from '../../storage/codec/index-key.ts'
import type { PlaceEvent } from '../../storage/crashable/crashable-events.ts'
import type { Command, CommandType } from './commands.ts'
import { Consumed, type GroupModel } from './consumed.ts'
import { type Life, Lives, tinySettings } from './lives.ts'
import { bodyOf, type Incarnation, numberOf, numbersIn, SentMessages } from './sent.ts'
import { differences, isSettled, snapshotOf } from './snapshot.ts'

const topicNames = ['orders', 'prices', 'stock'] as const
const groupNames = ['all', 'more', 'green'] as const
const TAGS = ['green', 'red'] as const
const CLIENT = 'client-1'
/** One of so many messages is looked for by its id. */
const IDS_SKIPPED = 4
const LOADING_ROUNDS_MAX = 200
const DRAIN_ROUNDS_MAX = 300

interface Held {
  readonly group: GroupModel
  readonly delivery: Delivery
  handle: ReceiptHandle
  isRenewed: boolean
}

interface Receiving {
  readonly life: number
  readonly atMs: number
  readonly waitMs: number
  readonly group: string
  readonly topicId: number | undefined
  /** Creating a group may have to wait for the disk. */
  readonly isBounded: boolean
  isAnswered: boolean
}

/** What became of the commands of a run, so that a property can say what it really did. */
export type Tally = Map<string, number>

/** One broker after the other on one medium, what everybody asked of them, and what must hold. */
export class World {
  readonly lives: Lives
  readonly sent = new SentMessages()
  readonly consumed = new Consumed(this.sent)
  readonly groups = new Map<number, GroupModel>()
  readonly #tally: Tally
  readonly #held: Held[] = []
  readonly #receiving = new Set<Receiving>()
  readonly #groupIds = new Set<number>()
  #life: Life | undefined
  #link: SessionLink | undefined
  #failure: unknown
  /** Of this life, and not answered yet. */
  #changes = new Set<Promise<unknown>>()
  #troubled = false
  #audits = 0
  /** By how much the wall clock was set forward, in all. */
  #jumpedMs = 0
  #hasJumped = false

  constructor(seed: number, tally: Tally) {
    this.#tally = tally
    this.lives = new Lives(seed, tinySettings, (event) => this.#onEvent(event))
  }

  /** Something to talk to, so that few commands talk to nobody. */
  async begin(): Promise<void> {
    await this.run({ type: 'createTopic', topic: 0, queues: 2 })
    await this.run({ type: 'createTopic', topic: 1, queues: 1 })
    await this.run({ type: 'createShortTopic', topic: 2, by: 'bytes' })
    await this.run({ type: 'createGroup', group: 0, attemptsMax: 3 })
    await this.run({ type: 'createGroup', group: 1, attemptsMax: 2 })
  }

  async run(command: Command): Promise<void> {
    await this.#open()
    this.#count(command.type)
    await this.#perform(command)
    await this.lives.clock.settle()
    this.#check()
  }

  /** Everything is healed; all that was promised is there, also after restarts. */
  async finish(): Promise<void> {
    await this.#open()
    await this.#audit()
    await this.#restart()
    await this.#audit()
    await this.#rebuild()
    await this.#audit()
    await this.#drainGroups()
    const life = this.#living
    await this.#close(life)
    assert.is(life.timers, 0, 'a closed broker has no timer')
  }

  get #living(): Life {
    assert.ok(this.#life, 'a broker lives')
    return this.#life
  }

  get #broker() {
    return this.#living.broker
  }

  get #nowMs(): number {
    return this.lives.clock.monotonicMs()
  }

  get #skewMs(): number {
    return this.lives.clock.monotonicMs() - this.lives.clock.wallMs()
  }

  /** Closes in order; the medium is left to whoever wants to damage it. */
  async close(): Promise<void> {
    await this.#open()
    await this.#rest()
    await this.#close(this.#living)
  }

  /** What the log lines say that happened inside. */
  tallyLines(): void {
    for (const [message, count] of this.lives.logged)
      this.#tally.set(message, (this.#tally.get(message) ?? 0) + count)
  }

  #count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1)
  }

  // ——— what happens

  async #perform(command: Command): Promise<void> {
    const { clock, place } = this.lives
    switch (command.type) {
      case 'createTopic':
        return this.#createTopic(command.topic, { queues: command.queues })
      case 'createShortTopic': {
        const retention = command.by === 'age' ? { ageMs: 15_000 } : { bytes: 2_000 }
        return this.#createTopic(command.topic, { queues: 1, retention })
      }
      case 'endTopic':
        return this.#endTopic(nameOf(topicNames, command.topic))
      case 'createGroup':
        return this.#createGroup(command.group, command.attemptsMax)
      case 'endGroup':
        return this.#endGroup(nameOf(groupNames, command.group))
      case 'send':
        return this.#send(command)
      case 'receive':
        return this.#receive(command)
      case 'abortedReceive':
        return this.#abortedReceive(command)
      case 'renewedReceive':
        return this.#receive({
          ...command,
          batchMax: 8,
          waitMs: 0,
          invisibleMs: 10_000,
          isRenewed: true,
        })
      case 'attemptedReceive':
        return this.#receive({
          ...command,
          batchMax: 3,
          waitMs: 0,
          invisibleMs: 10_000,
          attemptId: `attempt-${command.attempt}`,
        })
      case 'resetOffsets':
        return this.#resetOffsets(command)
      case 'pauseGroup':
        return this.#pause(nameOf(groupNames, command.group), command.paused)
      case 'loseClient':
        this.#broker.sessions.terminate(CLIENT)
        this.#link = undefined
        this.consumed.clientLost(this.#nowMs)
        return
      case 'ack':
        for (let index = 0; index < command.count; index++) this.#ack(command.pick + index)
        return
      case 'ackTwice':
        this.#ack(command.pick)
        this.#ack(command.pick)
        return
      case 'extend':
        return this.#extend(command.pick, command.ms)
      case 'deadLetter':
        return this.#deadLetter(command.pick)
      case 'advance':
        return clock.advance(command.ms)
      case 'clockJump':
        this.#hasJumped = true
        this.#jumpedMs += Math.max(0, command.ms)
        return clock.jumpWall(command.ms)
      case 'restart':
        return this.#restart()
      case 'closeAtOnce':
        return this.#closeAtOnce()
      case 'powerCut':
        return this.#powerCut(command.seed)
      case 'indexLost':
        await this.#powerCut(command.seed)
        return this.#clearIndex()
      case 'failWrites':
        this.#troubled = true
        return place.failWrites(command.database, command)
      case 'failOpens':
        this.#troubled = true
        return place.failOpens(command.database, { error: 'EIO', count: 2 })
      case 'slowWrites':
        this.#troubled = true
        return place.slowWrites(command.database, command.ms)
      case 'hangWrites':
        this.#troubled = true
        return place.hangWrites(command.database)
      case 'fillDisk':
        this.#troubled = true
        return place.fillDisk()
      case 'heal':
        return this.#heal()
      case 'checkpoint':
        void this.#broker.upkeep.checkpoint().catch(() => this.#count('checkpoint failed'))
        return
      case 'audit':
        return this.#audit()
      case 'rebuild':
        return this.#rebuild()
    }
  }

  async #createTopic(topic: number, options: Parameters<Broker['topics']['create']>[1]) {
    const name = nameOf(topicNames, topic)
    const known = this.#broker.topics.find(name)
    this.#settle(this.#change(this.#broker.topics.create(name, { type: 'MIXED', ...options })), {
      ok: ({ topicId, offsets, messages }) => {
        if (known !== undefined || this.sent.incarnations.has(topicId)) return
        assert.is(messages, 0, `${name} begins clean`)
        assert.ok(offsets.every(({ offsetMax }) => offsetMax === 0))
        this.#meet(name)
      },
    })
  }

  /** Whatever topic and group stand behind a name now. */
  #meet(name: string): Incarnation | undefined {
    const found = this.#broker.topics.find(name)
    if (found === undefined) return undefined
    const known = this.sent.incarnations.get(found.topicId)
    if (known) return known
    const { retention } = this.#broker.topics.describe(name)
    const incarnation: Incarnation = {
      topicId: found.topicId,
      name,
      ...retention,
      state: 'serving',
      places: new Map(),
      bounds: new Map(),
    }
    this.sent.incarnations.set(found.topicId, incarnation)
    return incarnation
  }

  #endTopic(name: string): void {
    const incarnation = this.#meet(name)
    const before = incarnation?.state
    if (incarnation) incarnation.state = 'doubtful'
    this.#settle(this.#change(this.#broker.topics.end(name)), {
      ok: async () => {
        if (incarnation === undefined) return
        incarnation.state = 'ended'
        await this.#assertNoKeys((key) => 'topicId' in key && key.topicId === incarnation.topicId)
        await this.#assertNoKeys(
          (key) => key.kind === 'queueBlock' && key.ownerId === incarnation.topicId,
        )
        this.#count('topic ended')
      },
      refused: (error) => {
        // An ending that began goes on at the next start.
        if (isBrokerError(error, 'BROKER_CLOSED')) return
        if (incarnation?.state === 'doubtful' && before) incarnation.state = before
      },
    })
  }

  #createGroup(group: number, attemptsMax: number): void {
    const name = nameOf(groupNames, group)
    this.#settle(this.#change(this.#broker.groups.create(name, { attemptsMax })), {
      ok: () => void this.#meetGroup(name),
    })
  }

  #meetGroup(name: string): GroupModel | undefined {
    const found = this.#broker.groups.find(name)
    if (found === undefined) return undefined
    const known = this.groups.get(found.groupId)
    if (known) return known
    const { groupId, attemptsMax } = found
    const paused = found.paused ? 'maybe' : 'no'
    const tag = name === 'green' ? 'green' : undefined
    const group: GroupModel = {
      groupId,
      name,
      attemptsMax,
      tag,
      state: 'serving',
      paused,
      pausing: 0,
    }
    assert.not(this.#groupIds.has(groupId), `group id ${groupId} is new`)
    this.#groupIds.add(groupId)
    this.groups.set(groupId, group)
    return group
  }

  #endGroup(name: string): void {
    const group = this.#meetGroup(name)
    const before = group?.state
    if (group) group.state = 'doubtful'
    this.#settle(this.#change(this.#broker.groups.end(name)), {
      ok: async () => {
        if (group === undefined) return
        group.state = 'ended'
        await this.#assertNoKeys(
          (key) => key.kind === 'deliveries' && key.ownerId === group.groupId,
        )
        this.#count('group ended')
      },
      refused: (error) => {
        // An ending that began goes on at the next start.
        if (isBrokerError(error, 'BROKER_CLOSED')) return
        if (group?.state === 'doubtful' && before) group.state = before
      },
    })
  }

  #pause(name: string, paused: boolean): void {
    const group = this.#meetGroup(name)
    const before = group?.paused
    if (group) {
      group.paused = 'maybe'
      group.pausing++
    }
    this.#settle(this.#change(this.#broker.groups.update(name, { paused })), {
      any: () => {
        if (group) group.pausing--
      },
      ok: () => {
        this.#count(paused ? 'paused' : 'resumed')
        if (group?.pausing === 0) group.paused = paused ? 'yes' : 'no'
      },
      refused: (error) => {
        if (isBrokerError(error, 'BROKER_CLOSED')) return
        if (group?.pausing === 0 && before) group.paused = before
      },
    })
  }

  #resetOffsets(command: Extract<Command, { type: 'resetOffsets' }>): void {
    const name = nameOf(groupNames, command.group)
    const topic = nameOf(topicNames, command.topic)
    const incarnation = this.#meet(topic)
    const group = this.#meetGroup(name)
    const { to, queue } = command
    const count = this.#broker.topics.find(topic)?.queues ?? 0
    const all = Array.from({ length: count }, (_, queueId) => queueId)
    const queues = queue === 2 ? all : all.filter((each) => each === queue)
    const topicId = incarnation?.topicId ?? -1
    if (group) this.consumed.resetBegun(group, topicId, queues)
    const reset = {
      topic,
      ...(queue === 2 ? {} : { queueId: queue }),
      to: typeof to === 'number' ? { at: 'offset' as const, queueOffset: to } : { at: to },
    }
    this.#settle(this.#change(this.#broker.groups.resetOffsets(name, reset)), {
      ok: (results) => {
        this.#count('offsets reset')
        assert.equal(
          results.map(({ queueId }) => queueId),
          queues,
        )
        if (group) this.consumed.resetDone(group, topicId, results)
      },
      refused: () => {
        if (group) this.consumed.resetEnded(group, topicId, queues, 'refused')
      },
      unknown: () => {
        if (group) this.consumed.resetEnded(group, topicId, queues, 'unknown')
      },
    })
  }

  async #send(command: Extract<Command, { type: 'send' }>): Promise<void> {
    const name = nameOf(topicNames, command.topic)
    const incarnation = this.#meet(name)
    for (let index = 0; index < command.count; index++) {
      const tag = TAGS[index % TAGS.length] as string
      const { messageGroup } = command
      const life = this.#living.number
      const topicId = incarnation?.topicId ?? -1
      const atMs = this.#nowMs
      const sent = this.sent.begin({ topicId, life, atMs, tag, messageGroup })
      const message = encodeDraft(
        { body: bodyOf(sent.number, command.bytes), tag, messageGroup },
        { messageId: `m${sent.number}`, bornAtMs: atMs, bornHost: 'here' },
      )
      this.#settle(
        attempt(() => this.#broker.append(name, message)),
        {
          ok: ({ queueId, queueOffset }) => {
            this.#count('acknowledged')
            if (incarnation?.state === 'serving')
              this.sent.acknowledged(sent, `${queueId}/${queueOffset}`)
            else sent.state = 'lost'
          },
          refused: () => {
            this.#count('send refused')
            sent.state = 'refused'
          },
          unknown: () => {
            this.#count('send unknown')
            sent.state = 'lost'
          },
        },
      )
    }
    if (command.isAwaited) await this.lives.clock.settle()
  }

  #receive(command: {
    topic: number
    group: number
    batchMax: number
    waitMs: number
    invisibleMs: number
    isRenewed?: boolean
    attemptId?: string
  }): void {
    const { batchMax, waitMs, invisibleMs, isRenewed = false, attemptId = '' } = command
    const topic = nameOf(topicNames, command.topic)
    const name = nameOf(groupNames, command.group)
    const filter = this.#filterOf(name)
    if (isRenewed) this.#link ??= this.#broker.sessions.open(CLIENT, 'consumer')
    const receiving = this.#begin(topic, name, waitMs)
    const request = { group: name, topic, filter, batchMax, invisibleMs, waitMs }
    const client = isRenewed ? { clientId: CLIENT, autoRenew: true } : {}
    const attempt = attemptId ? { attemptId } : {}
    const given = { name, isRenewed, invisibleMs, batchMax, attemptId }
    this.#settle(this.#broker.receive({ ...request, ...client, ...attempt }), {
      ok: (result) => this.#received(receiving, { ...given, result }),
      any: () => this.#answered(receiving),
    })
  }

  /** The same messages, asked for in one language and in the other. */
  #filterOf(group: string) {
    if (group !== 'green') return tagFilter('*')
    return this.#receiving.size % 2 ? tagFilter('green') : sqlFilter("TAGS = 'green'")
  }

  #received(
    receiving: Receiving,
    given: {
      name: string
      isRenewed: boolean
      invisibleMs: number
      batchMax: number
      attemptId: string
      result: ReceiveResult
    },
  ): void {
    const { deliveries } = given.result
    this.#answered(receiving)
    if (deliveries.length === 0) return
    this.#count('received')
    assert.ok(deliveries.length <= given.batchMax)
    const group = this.#meetGroup(given.name)
    if (group === undefined || group.groupId !== deliveries[0]?.handle.groupId) return
    assert.is.not(group.paused, 'yes', 'a paused group is given nothing')
    const isRenewed = given.isRenewed && this.#link !== undefined
    this.#lookAtBounds()
    this.#checkAttempt(group, given)
    this.consumed.delivered(group, deliveries, {
      nowMs: this.#nowMs,
      skewMs: this.#skewMs,
      isRenewed,
      attemptId: given.attemptId,
    })
    for (const delivery of deliveries) {
      const { handle } = delivery
      if (delivery.cause !== 'first') this.#count(`redelivered: ${delivery.cause}`)
      const isRepeated = delivery.cause === 'repeatedAttempt'
      assert.is(
        handle.invisibleUntilMs,
        isRepeated
          ? handle.invisibleUntilMs
          : Math.ceil(this.lives.clock.wallMs() + given.invisibleMs),
        'the handle says until when',
      )
      assert.equal(this.#broker.openHandle(this.#broker.sealHandle(handle)), handle)
      this.#held.unshift({ group, delivery, handle, isRenewed })
    }
    this.#held.length = Math.min(this.#held.length, 60)
  }

  /** An attempt that still holds something is given that, and nothing else. */
  #checkAttempt(
    group: GroupModel,
    { attemptId, result }: { attemptId: string; result: ReceiveResult },
  ): void {
    const [first] = result.deliveries
    if (attemptId === '' || first === undefined) return
    const { topicId } = first.message
    const held = this.consumed.heldBy(group, topicId, attemptId, this.#nowMs)
    const given = new Set(result.deliveries.map(numberOf))
    for (const number of held) assert.ok(given.has(number), `${attemptId} is given ${number} again`)
    const isRepeated = first.cause === 'repeatedAttempt'
    assert.ok(result.deliveries.every(({ cause }) => (cause === 'repeatedAttempt') === isRepeated))
  }

  /** The call goes away: what it would have got comes to others at once. */
  async #abortedReceive(command: { topic: number; group: number }): Promise<void> {
    const topic = nameOf(topicNames, command.topic)
    const name = nameOf(groupNames, command.group)
    const abort = new AbortController()
    const receiving = this.#begin(topic, name, 5_000)
    const filter = this.#filterOf(name)
    const request = { group: name, topic, filter, batchMax: 4, invisibleMs: 10_000 }
    const result = this.#broker.receive({ ...request, waitMs: 5_000, signal: abort.signal })
    if (receiving.topicId !== undefined) this.consumed.answerLost(name, receiving.topicId)
    abort.abort()
    this.#settle(result, {
      ok: ({ deliveries }) => assert.is(deliveries.length, 0, 'nobody is there to take them'),
      any: () => this.#answered(receiving),
    })
  }

  #begin(topic: string, group: string, waitMs: number): Receiving {
    const incarnation = this.#meet(topic)
    const known = this.#meetGroup(group)
    const receiving: Receiving = {
      life: this.#living.number,
      atMs: this.#nowMs,
      waitMs,
      group,
      topicId: incarnation?.topicId,
      isBounded: known !== undefined,
      isAnswered: false,
    }
    this.#receiving.add(receiving)
    return receiving
  }

  #answered(receiving: Receiving): void {
    if (receiving.isAnswered) return
    receiving.isAnswered = true
    this.#receiving.delete(receiving)
    const lateMs = this.#nowMs - receiving.atMs - receiving.waitMs
    assert.ok(!receiving.isBounded || lateMs <= 0, `a receive is answered ${lateMs} ms late`)
  }

  /** For a lease that a client renewed nobody's clock counts while the client lives. */
  #isLive({ group, handle, delivery, isRenewed }: Held): boolean {
    if (isRenewed) return this.consumed.isRenewed(handle.groupId, delivery)
    const isInTime = this.consumed.isInTime(group, delivery, this.#nowMs)
    return isInTime && handle.invisibleUntilMs > this.lives.clock.wallMs()
  }

  #pick(pick: number): Held | undefined {
    return this.#held.length === 0 ? undefined : this.#held[pick % this.#held.length]
  }

  #isReachable({ group, delivery }: Held): boolean {
    const { topicId, queueId, queueOffset } = delivery.message
    const topic = this.sent.incarnations.get(topicId)
    const isKept = queueOffset >= (topic?.bounds.get(queueId)?.min ?? 0)
    return isKept && group.state === 'serving' && topic?.state === 'serving'
  }

  #ack(pick: number): void {
    const held = this.#pick(pick)
    if (held === undefined) return
    const { group, delivery, handle } = held
    const isLive = this.#isLive(held) && this.#isReachable(held)
    const isTaken =
      this.consumed.isAcked(group, delivery) ||
      (isLive && this.consumed.isNewest(group, delivery, handle))
    this.#settle(this.#broker.ack(handle), {
      ok: () => {
        this.#count('acked')
        this.consumed.acked(group, delivery, isLive)
      },
      refused: (error) => {
        this.#count('ack refused')
        const isExpired = isBrokerError(error, 'RECEIPT_HANDLE_EXPIRED')
        assert.not(isExpired && isTaken, 'a handle that counts, or counted, is taken')
      },
    })
  }

  #extend(pick: number, ms: number): void {
    const held = this.#pick(pick)
    if (held === undefined) return
    const { group, delivery, handle } = held
    const isLive = this.#isLive(held) && this.#isReachable(held)
    const isNewest = this.consumed.isNewest(group, delivery, handle)
    const isVoid = this.consumed.isVoid(group, delivery, handle)
    this.consumed.refused(group, delivery)
    this.#settle(this.#broker.extend(handle, ms), {
      ok: (extended) => {
        this.#count('extended')
        assert.not(isVoid, 'no handle of before a reset is extended')
        assert.ok(
          this.sent.incarnations.get(delivery.message.topicId)?.state !== 'ended' &&
            group.state !== 'ended',
          'no handle of an ended owner is extended',
        )
        assert.is(extended.invisibleUntilMs, Math.ceil(this.lives.clock.wallMs() + ms))
        held.handle = extended
        held.isRenewed = false
        this.consumed.extended(group, delivery, extended, extended.invisibleUntilMs + this.#skewMs)
      },
      refused: (error) => {
        const isExpired = isBrokerError(error, 'RECEIPT_HANDLE_EXPIRED')
        assert.not(isExpired && isLive && isNewest, 'a handle that counts is extended')
      },
    })
  }

  #deadLetter(pick: number): void {
    const held = this.#pick(pick)
    if (held === undefined) return
    const { group, delivery, handle } = held
    const isNewest = this.consumed.isNewest(group, delivery, handle)
    const isLive = this.#isLive(held) && this.#isReachable(held) && isNewest
    const call = this.#broker.deadLetter(handle, 'unreadable')
    // Held from now on, whatever becomes of it.
    this.consumed.deadLettered(group, delivery, 'maybe')
    this.#settle(call, {
      ok: () => {
        if (!isLive) return
        this.#count('dead-lettered')
        this.consumed.deadLettered(group, delivery, 'yes')
      },
    })
  }

  // ——— lives

  async #open(): Promise<void> {
    if (this.#life) return
    this.#link = undefined
    this.#changes = new Set()
    try {
      this.#life = await this.lives.open()
    } catch (error) {
      if (!this.#troubled) throw error
      this.#count('start refused')
      this.#repair()
      this.#life = await this.lives.open()
    }
    for (const name of topicNames) this.#meet(name)
    this.consumed.opened(this.#skewMs)
  }

  /** Ends every fault; the broker gets over them by itself. */
  async #heal(): Promise<void> {
    this.#repair()
    const { broker } = this.#living
    const isOpen = (): boolean => broker.log.mode === 'writing' && broker.index.isOpen
    for (let round = 0; round < 120 && !isOpen(); round++) await this.lives.clock.advance(500)
    assert.is(broker.log.mode, 'writing', 'a healed log writes again')
    assert.ok(broker.index.isOpen, 'a healed index is open again')
    await this.lives.clock.settle()
  }

  #repair(): void {
    this.lives.place.heal()
    this.lives.place.freeDisk()
    this.#troubled = false
  }

  async #rest(): Promise<void> {
    await this.#heal()
    const { broker } = this.#living
    const isAtRest = (): boolean => isSettled(broker) && this.#changes.size === 0
    for (let round = 0; round < 100 && !isAtRest(); round++) await this.lives.clock.advance(100)
    assert.ok(isAtRest(), 'a healed broker comes to rest')
    this.#check()
  }

  async #restart(): Promise<void> {
    await this.#rest()
    await this.#findResidue()
    const before = this.#snapshot()
    await this.#close(this.#living)
    await this.#open()
    const changed = differences(before, this.#snapshot())
    assert.is(changed.join('\n'), '', 'a restart changes nothing')
    await this.#findResidue()
  }

  #snapshot(): string[] {
    return snapshotOf(this.#broker, { hasJumped: this.#hasJumped })
  }

  async #rebuild(): Promise<void> {
    await this.#rest()
    const before = this.#snapshot()
    await this.#close(this.#living)
    await this.#clearIndex()
    await this.#open()
    const changed = differences(before, this.#snapshot())
    assert.is(changed.join('\n'), '', 'the index comes back from the log')
    this.#count('rebuilt')
  }

  async #clearIndex(): Promise<void> {
    const { clock, place } = this.lives
    const index = await clock.until(place.openDatabase('index'))
    await clock.until(index.clear({}))
    await clock.until(index.close())
  }

  async #close(life: Life): Promise<void> {
    await this.lives.clock.until(life.broker.close())
    await this.lives.clock.settle()
    for (const { life: number } of this.#receiving)
      assert.is.not(number, life.number, 'closing answers every receive')
    this.#checkFailure()
    life.die()
    this.#died(life)
  }

  /** Closing in whatever trouble: it ends at the latest when the medium answers again. */
  async #closeAtOnce(): Promise<void> {
    const life = this.#living
    this.consumed.crashed()
    const closing = life.broker.close()
    await this.lives.clock.advance(10_000)
    this.#repair()
    await this.lives.clock.until(closing)
    await this.lives.clock.settle()
    for (const { life: number } of this.#receiving)
      assert.is.not(number, life.number, 'closing answers every receive')
    life.die()
    this.#died(life)
  }

  async #powerCut(seed: number): Promise<void> {
    const life = this.#living
    this.consumed.crashed()
    life.die()
    this.#died(life)
    this.lives.place.crash(seed)
    this.#repair()
    await this.lives.clock.settle()
  }

  #died(life: Life): void {
    this.#life = undefined
    this.#link = undefined
    this.sent.died()
    for (const { group, topicId } of this.#receiving)
      if (topicId !== undefined) this.consumed.answerLost(group, topicId)
    this.#receiving.clear()
    this.consumed.died()
    for (const group of this.groups.values())
      if (group.pausing > 0) {
        group.pausing = 0
        group.paused = 'maybe'
      }
    this.#count(`lives ${Math.min(life.number, 3)}`)
  }

  #onEvent(event: PlaceEvent): void {
    if (event.type === 'database.opened' && event.database === 'commit-log') this.sent.opened()
    if (event.type === 'write.failed') this.#count(`write failed: ${event.database}`)
    if (!('operations' in event) || event.database !== 'commit-log') return
    if (event.type !== 'write.started' && event.type !== 'write.synced') return
    const numbers = event.operations.flatMap((operation) =>
      operation.type === 'put' ? numbersIn(operation.value) : [],
    )
    if (event.type === 'write.started') this.sent.writeStarted(numbers)
    else this.sent.writeSynced(numbers)
  }

  // ——— what must hold

  #check(): void {
    this.#checkFailure()
    if (this.#life === undefined) return
    const { broker } = this.#life
    this.#lookAtBounds()
    const nowMs = this.#nowMs
    for (const { atMs, waitMs, isBounded } of this.#receiving)
      assert.ok(!isBounded || nowMs <= atMs + waitMs, 'a receive is answered in time')
    const { unacked } = broker.state
    broker.state.recountUnacked()
    assert.is(unacked, broker.state.unacked, 'what is unacknowledged is the sum of all tables')
    if (broker.log.mode === 'writing' && broker.log.unsyncedBytes === 0) this.consumed.kept()
  }

  #lookAtBounds(): void {
    const { topics } = this.#broker
    for (const name of topicNames)
      if (topics.find(name)?.state === 'serving') this.sent.bounds(topics.describe(name))
  }

  #checkFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }

  /** Reads every topic whole, as a new group does, and compares. */
  async #audit(): Promise<void> {
    await this.#heal()
    for (let round = 0; this.#broker.log.unsyncedBytes > 0; round++) {
      assert.ok(round < 100, 'what was admitted is synced')
      await this.lives.clock.advance(10)
    }
    this.#check()
    const { broker } = this.#living
    for (const { name, state } of broker.topics.list())
      if (state === 'serving') await this.#auditTopic(name)
    const served = new Set(broker.topics.list().map(({ topicId }) => topicId))
    for (const { topicId, state, name } of this.sent.incarnations.values())
      if (state === 'serving') assert.ok(served.has(topicId), `${name} (${topicId}) is there`)
      else if (state === 'ended') assert.not(served.has(topicId), `${name} (${topicId}) is gone`)
    this.#count('audited')
  }

  /** Nothing of an ended owner is left, at the latest when upkeep has made its rounds. */
  async #findResidue(): Promise<void> {
    const { clock } = this.lives
    const metrics = { series: async () => [] }
    const find = async () => {
      const registry = metrics as unknown as Parameters<typeof audit>[1]
      return (await clock.until(audit(this.#broker, registry, 0))).residue
    }
    let residue = await find()
    for (let round = 0; round < 20 && residue.length > 0; round++) {
      await clock.advance(500)
      residue = await find()
    }
    assert.equal(residue, [], 'nothing is left of what ended')
  }

  async #auditTopic(name: string): Promise<void> {
    const { clock } = this.lives
    const { broker } = this.#living
    this.#meet(name)
    const group = `audit-${this.#audits++}`
    await clock.until(broker.groups.create(group))
    const description = broker.topics.describe(name)
    const found = new Map<string, number>()
    for (;;) {
      const { deliveries } = await this.#patiently(() =>
        broker.receive({
          ...{ group, topic: name, filter: tagFilter('*'), batchMax: 32 },
          ...{ invisibleMs: 600_000, waitMs: 0 },
        }),
      )
      if (deliveries.length === 0) break
      for (const delivery of deliveries) {
        const sent = this.sent.seen(delivery)
        const { queueId, queueOffset } = delivery.message
        found.set(`${queueId}/${queueOffset}`, sent.number)
        this.#auditDeadLetter(name, delivery)
        await clock.until(broker.ack(delivery.handle))
      }
    }
    // A group that was made again may have dead letters from both of its lives.
    const owner = name.replace('%DLQ%', '')
    const owners = [...this.groups.values()].filter((other) => other.name === owner)
    const copiesMax = Math.max(1, owners.length + this.consumed.resetsOf(owners))
    this.sent.whole(description, found, { nowMs: this.#nowMs + this.#jumpedMs, copiesMax })
    await clock.until(broker.groups.end(group))
    await this.#findByIds(name, found)
  }

  /** The index of ids, however it came about, names what was received, and nothing else. */
  async #findByIds(name: string, found: ReadonlyMap<string, number>): Promise<void> {
    const { clock } = this.lives
    const { broker } = this.#living
    for (const [place, number] of found) {
      if (number % IDS_SKIPPED !== 0) continue
      const views = await clock.until(broker.messages.byId(`m${number}`, name))
      const places = views.map(({ queueId, queueOffset }) => `${queueId}/${queueOffset}`)
      for (const each of places) assert.is(found.get(each), number, `m${number} is at ${each}`)
      const [queueId = 0, offset = 0] = place.split('/').map(Number)
      const isTrimmed = offset < (broker.topics.describe(name).offsets[queueId]?.offsetMin ?? 0)
      assert.ok(isTrimmed || places.includes(place), `m${number} is found by its id`)
    }
    this.#count('found by id')
  }

  #auditDeadLetter(topic: string, delivery: Delivery): void {
    if (!topic.startsWith('%DLQ%')) return
    const sent = this.sent.all[numberOf(delivery)]
    const name = topic.slice('%DLQ%'.length)
    const groups = [...this.groups.values()].filter((group) => group.name === name)
    // Of several incarnations nobody can say whose dead letter it is.
    const [group, ...others] = groups
    if (group && others.length === 0 && sent) this.consumed.hasDeadLetter(group, sent)
  }

  /** Tiny caches make a receive give way; it says so, and the next one gets further. */
  async #patiently(receive: () => Promise<ReceiveResult>): Promise<ReceiveResult> {
    for (let round = 0; ; round++) {
      try {
        return await this.lives.clock.until(receive())
      } catch (error) {
        if (!isBrokerError(error, 'THROTTLED') || round > LOADING_ROUNDS_MAX) throw error
        await this.lives.clock.advance(1)
      }
    }
  }

  /** Every message of every topic ends in each group: acknowledged, or dead-lettered once. */
  async #drainGroups(): Promise<void> {
    for (const name of groupNames) for (const topic of topicNames) await this.#drain(name, topic)
    await this.#audit()
    for (const group of this.groups.values()) {
      if (this.#broker.groups.find(group.name)?.groupId !== group.groupId) continue
      const deadLetters = this.#broker.topics.find(`%DLQ%${group.name}`)
      for (const sent of this.sent.all) {
        if (sent.state !== 'acknowledged' || sent.place === undefined) continue
        const incarnation = this.sent.incarnations.get(sent.topicId)
        if (incarnation?.state !== 'serving') continue
        if (group.tag !== undefined && sent.tag !== group.tag) continue
        const [queueId = 0, offset = 0] = sent.place.split('/').map(Number)
        if (offset < (incarnation.bounds.get(queueId)?.min ?? 0)) continue
        const isLetter = deadLetters !== undefined && this.consumed.isDead(group.groupId, sent)
        const isDone = !this.consumed.isOpen(group.groupId, sent) || isLetter
        const isShared = [...this.groups.values()].filter((g) => g.name === group.name).length > 1
        assert.ok(isDone || isShared, `${sent.number} is lost to ${group.name}`)
      }
    }
  }

  async #drain(name: string, topic: string): Promise<void> {
    const { clock } = this.lives
    const group = this.#meetGroup(name)
    if (group === undefined || this.#broker.topics.find(topic)?.state !== 'serving') return
    if (this.#broker.groups.find(name)?.state !== 'serving') return
    await clock.until(this.#broker.groups.update(name, { paused: false }))
    group.paused = 'no'
    const lag = (): number => lagOf(this.#broker, name, topic)
    for (let round = 0; round === 0 || lag() > 0; round++) {
      assert.ok(round < DRAIN_ROUNDS_MAX, `${name} comes to the end of ${topic}: ${lag()} are left`)
      const { deliveries } = await this.#patiently(() =>
        this.#broker.receive({
          ...{ group: name, topic, filter: tagFilter(group.tag ?? '*'), batchMax: 32 },
          ...{ invisibleMs: 10_000, waitMs: 0 },
        }),
      )
      this.consumed.delivered(group, deliveries, {
        nowMs: this.#nowMs,
        skewMs: this.#skewMs,
        isRenewed: false,
        attemptId: '',
      })
      for (const delivery of deliveries) {
        await clock.until(this.#broker.ack(delivery.handle))
        this.consumed.acked(group, delivery, true)
      }
      if (deliveries.length > 0) continue
      this.#broker.sessions.terminate(CLIENT)
      this.consumed.clientLost(this.#nowMs)
      await clock.advance(61_000)
      this.#check()
    }
  }

  async #assertNoKeys(claims: (key: ReturnType<typeof parseIndexKey>) => boolean): Promise<void> {
    const { broker } = this.#living
    if (!broker.index.isOpen) return
    const claimed: string[] = []
    try {
      for await (const bytes of broker.index.keys()) {
        const key = parseIndexKey(bytes)
        // A group that is ending itself sweeps all that it has.
        const isSwept = key.kind === 'deliveries' && isEndingGroup(broker, key.ownerId)
        if (claims(key) && !isSwept) claimed.push(JSON.stringify(key))
      }
    } catch (error) {
      if (!isBrokerError(error, 'STORE_UNAVAILABLE')) throw error
    }
    assert.equal(claimed, [], 'the index holds no key of an ended owner')
  }

  /** Follows an answer for as long as the broker that gives it lives. */
  /** What changes topics or groups, and may wait before it is admitted. */
  #change<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const changes = this.#changes
    changes.add(answer)
    const done = (): boolean => changes.delete(answer)
    answer.then(done, done)
    return answer
  }

  #settle<Answer>(
    answer: Promise<Answer>,
    hear: {
      ok?: (answer: Answer) => void | Promise<void>
      /** It certainly did not happen. */
      refused?: (error: unknown) => void
      /** It may or may not have happened. */
      unknown?: (error: unknown) => void
      any?: () => void
    },
  ): void {
    const life = this.#living
    const guarded = (work: () => void | Promise<void>): void => {
      if (!life.isAlive) return
      const fail = (error: unknown): void => {
        if (life.isAlive || error instanceof assert.Assertion) this.#failure ??= error
      }
      try {
        void Promise.resolve(work()).catch(fail)
      } catch (error) {
        fail(error)
      }
    }
    answer.then(
      (value) =>
        guarded(() => {
          hear.any?.()
          return hear.ok?.(value)
        }),
      (error: unknown) =>
        guarded(() => {
          hear.any?.()
          assert.ok(isBrokerError(error), `a coded error, not ${(error as Error)?.stack}`)
          if (isBrokerError(error, 'OUTCOME_UNKNOWN')) hear.unknown?.(error)
          else hear.refused?.(error)
        }),
    )
  }
}

const lagOf = ({ groups }: Broker, name: string, topic: string): number =>
  groups
    .describe(name)
    .progress.filter((progress) => progress.topic === topic)
    .reduce((sum, { lag }) => sum + lag, 0)

const nameOf = (names: readonly string[], index: number): string =>
  names[index % names.length] as string

/** `append` refuses in the same turn. */
const attempt = <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
  try {
    return call()
  } catch (error) {
    return Promise.reject(error)
  }
}

export const allTypes = (tally: Tally, types: readonly CommandType[]): CommandType[] =>
  types.filter((type) => !tally.has(type))

const isEndingGroup = ({ state, supervisions }: CoreBroker, groupId: number): boolean =>
  state.groups.get(groupId)?.status !== 'serving' &&
  supervisions.groups.describe(`group:${groupId}`) !== undefined
