import * as assert from 'uvu/assert'
import { audit } from '../../../actors/audit/audit.ts'
import type { CoreBroker } from '../../../actors/broker/broker.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import type { RecallOutcome } from '../../../model/timer/timers.ts'
import { readMessage } from '../../../storage/codec/message-fact.ts'
import { recordAt } from '../../../storage/codec/record.ts'
import { type Life, Lives, tinySettings } from '../lives.ts'
import { differences, isSettled, snapshotOf } from '../snapshot.ts'
import type { Command } from './commands.ts'

const topicNames = ['orders', 'prices'] as const
const MEMORY_MS = 100_000
const CHECKS_MAX = 3

const settings = {
  ...tinySettings,
  timers: {
    horizonMs: 10_000_000,
    recallMemoryMs: MEMORY_MS,
    sweepEveryMs: 3_000,
    checkpointEntriesMax: 2,
    nearWindowMs: 10_000,
    nearMax: 8,
    batchMax: 3,
    batchesMax: 2,
    tickMs: 5,
    jumpCheckMs: 1_000,
    jumpMs: 100,
  },
  transactions: { checkAfterMs: 6_000, checkEveryMs: 30_000, checksMax: CHECKS_MAX },
}

/** What the model knows of one message: a line of a sorted list, in the end. */
interface Known {
  readonly number: number
  readonly topic: string
  readonly topicId: number
  readonly isHalf: boolean
  /** Acknowledged, or nobody can say, or certainly not there. */
  sent: 'no' | 'yes' | 'doubtful'
  dueMs: number
  /** How often another time was asked for: while that is under way, none is certain. */
  moves: number
  /** Somebody asked for it before its time. */
  isByHand: boolean
  /** Half messages: commits that were asked for and may have come to be. */
  commits: number
  isCommitted: boolean
  isRolledBack: boolean
  laterMs: number
  handle: string
  timerId: string
  /** Not before its acknowledgement, as store timestamps count: they never decrease. */
  ackedAtMs: number
  seenAtStep: number
  place: number
  /** Recalled, cancelled or rolled back: certainly. */
  isWithdrawn: boolean
  /** Asks for that of which nobody can say, or not yet, what became of them; and since when. */
  doubts: number
  doubtedAtMs: number
  /** Not later than it ended. */
  endedAtMs: number
  checks: number
}

interface Incarnation {
  readonly topicId: number
  readonly name: string
  state: 'serving' | 'doubtful' | 'ended'
}

export type Tally = Map<string, number>

/** A list of messages, and a broker that is to agree with it, whatever happens to both. */
export class DeferredWorld {
  readonly lives: Lives
  readonly #known: Known[] = []
  readonly #incarnations = new Map<number, Incarnation>()
  readonly #tally: Tally
  #life: Life | undefined
  #failure: unknown
  #isTroubled = false
  #step = 0
  /** The latest time that anybody could have seen on the wall. */
  #wallMaxMs = 0

  constructor(seed: number, tally: Tally) {
    this.#tally = tally
    this.lives = new Lives(seed, settings, () => {})
  }

  async run(command: Command): Promise<void> {
    await this.#open()
    this.#step++
    this.#count(command.type)
    await this.#perform(command)
    await this.lives.clock.settle()
    this.#noteWall()
    await this.#check()
  }

  async begin(): Promise<void> {
    for (const topic of [0, 1]) await this.run({ type: 'createTopic', topic })
  }

  /** Everything is healed, and all that waits is let come. */
  async finish(): Promise<void> {
    await this.run({ type: 'restart' })
    await this.run({ type: 'rebuild' })
    await this.run({ type: 'jumpWall', ms: 100_000_000 })
    for (let round = 0; round < 4; round++) await this.run({ type: 'advance', ms: 5_000 })
    await this.#rest()
    const { timers } = this.#broker
    assert.is(timers.count(), 0, 'in the end all timers are delivered')
    for (const known of this.#known)
      if (known.sent === 'yes' && isKept(known) && this.#isServing(known)) {
        const isOpen = known.isHalf && !known.isCommitted
        assert.ok(isOpen || known.seenAtStep > 0, `${known.number} is delivered in the end`)
      }
    for (const name of topicNames)
      if (this.#broker.topics.find(name))
        await this.run({ type: 'endTopic', topic: topicNames.indexOf(name) })
    await this.#rest()
    await this.run({ type: 'checkpoint' })
    await this.#rest()
    assert.is(this.#broker.timers.count() + this.#broker.transactions.count(), 0)
    await this.#findResidue()
    const wrong = this.lives.logged.get('a count of deferred messages is wrong')
    assert.is(wrong, undefined, 'no sweep found a wrong count')
    const life = this.#living
    await this.#close()
    assert.is(life.timers, 0, 'a closed broker has no timer')
  }

  tallyLines(): void {
    for (const [message, count] of this.lives.logged)
      this.#tally.set(message, (this.#tally.get(message) ?? 0) + count)
  }

  get #living(): Life {
    assert.ok(this.#life, 'a broker lives')
    return this.#life
  }

  get #broker(): CoreBroker {
    return this.#living.broker
  }

  get #wallMs(): number {
    return this.lives.clock.wallMs()
  }

  #noteWall(): void {
    this.#wallMaxMs = Math.max(this.#wallMaxMs, this.#wallMs)
  }

  #count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1)
  }

  #isServing({ topicId }: { topicId: number }): boolean {
    return this.#incarnations.get(topicId)?.state === 'serving'
  }

  // ——— what happens

  async #perform(command: Command): Promise<void> {
    const { clock, place } = this.lives
    switch (command.type) {
      case 'createTopic': {
        const name = nameOf(command.topic)
        const options = { type: 'MIXED', queues: 1, retention: { ageMs: 1e12 } } as const
        return this.#settle(this.#broker.topics.create(name, options), {
          ok: () => void this.#meet(name),
        })
      }
      case 'endTopic':
        return this.#endTopic(nameOf(command.topic))
      case 'schedule':
        for (let index = 0; index < command.count; index++)
          this.#send(nameOf(command.topic), command.inMs + index * 7)
        return command.isAwaited ? clock.settle() : undefined
      case 'send': {
        const message = draftOf(-1, command.bytes)
        const sending = () => this.#broker.append(nameOf(command.topic), message)
        return this.#settle(attempt(sending), {})
      }
      case 'prepare':
        return this.#prepare(nameOf(command.topic), command.laterMs)
      case 'resolve':
        return this.#resolve(command.pick, command.commit)
      case 'recall':
        return this.#recall(
          this.#pick(command.pick, (known) => known.seenAtStep === 0 && isKept(known)),
        )
      case 'recallEnded':
        return this.#recall(this.#pick(command.pick, (known) => this.#hasEnded(known)))
      case 'cancel':
        return this.#cancel(command.pick)
      case 'cancelAll':
        return this.#cancelAll(nameOf(command.topic), command.withinMs)
      case 'reschedule':
        return this.#reschedule(command.pick, command.inMs)
      case 'fire':
        return this.#fire(command.pick)
      case 'advance':
        return clock.advance(command.ms)
      case 'jumpWall':
        this.#noteWall()
        clock.jumpWall(command.ms)
        return
      case 'restart':
        return this.#restart()
      case 'powerCut':
        return this.#powerCut(command.seed)
      case 'indexLost':
        await this.#powerCut(command.seed)
        return this.#clearIndex()
      case 'failWrites':
        this.#isTroubled = true
        return place.failWrites(command.database, { ...command, error: 'EIO' })
      case 'slowWrites':
        this.#isTroubled = true
        return place.slowWrites('commit-log', command.ms)
      case 'fillDisk':
        this.#isTroubled = true
        return place.fillDisk()
      case 'heal':
        return this.#heal()
      case 'checkpoint':
        return void this.#broker.upkeep.checkpoint().catch(() => this.#count('checkpoint failed'))
      case 'audit':
        await this.#rest()
        return this.#findResidue()
      case 'rebuild':
        return this.#rebuild()
    }
  }

  #meet(name: string): Incarnation | undefined {
    const found = this.#broker.topics.find(name)
    if (found === undefined) return undefined
    const known = this.#incarnations.get(found.topicId)
    if (known) return known
    const made: Incarnation = { topicId: found.topicId, name, state: 'serving' }
    this.#incarnations.set(found.topicId, made)
    return made
  }

  #endTopic(name: string): void {
    const incarnation = this.#meet(name)
    if (incarnation) incarnation.state = 'doubtful'
    this.#settle(this.#broker.topics.end(name), {
      ok: () => {
        if (incarnation) incarnation.state = 'ended'
        this.#count('topic ended')
      },
      refused: (error) => {
        if (isBrokerError(error, 'BROKER_CLOSED') || incarnation === undefined) return
        if (incarnation.state === 'doubtful') incarnation.state = 'serving'
      },
    })
  }

  #begin(topic: string, fields: Pick<Known, 'isHalf' | 'dueMs' | 'laterMs'>): Known {
    const known: Known = {
      ...fields,
      number: this.#known.length,
      topic,
      topicId: this.#meet(topic)?.topicId ?? -1,
      sent: 'doubtful',
      moves: 0,
      isByHand: false,
      commits: 0,
      isCommitted: false,
      isRolledBack: false,
      handle: '',
      timerId: '',
      ackedAtMs: Number.POSITIVE_INFINITY,
      seenAtStep: 0,
      place: -1,
      isWithdrawn: false,
      doubts: 0,
      doubtedAtMs: 0,
      endedAtMs: 0,
      checks: 0,
    }
    this.#known.push(known)
    return known
  }

  #send(topic: string, inMs: number): void {
    const dueMs = this.#wallMs + inMs
    const isDueAtOnce = inMs === 0
    const known = this.#begin(topic, { isHalf: false, dueMs, laterMs: 0 })
    known.isByHand = isDueAtOnce
    const message = draftOf(known.number, 10)
    const scheduled = { ...message, type: 'DELAY', deliverAtMs: dueMs } as const
    const before = this.#broker.timers.count()
    const sending = attempt(() => this.#broker.append(topic, scheduled))
    if (isDueAtOnce) assert.is(this.#broker.timers.count(), before, 'due at once: not counted')
    this.#settle(sending, {
      ok: ({ recallHandle }) => {
        this.#count('scheduled')
        assert.is(recallHandle === undefined, isDueAtOnce)
        known.sent = 'yes'
        known.handle = recallHandle ?? ''
        this.#noteWall()
        known.ackedAtMs = this.#wallMaxMs
      },
      refused: () => {
        known.sent = 'no'
      },
    })
  }

  #prepare(topic: string, laterMs: number): void {
    const known = this.#begin(topic, { isHalf: true, dueMs: 0, laterMs })
    const deliverAtMs = this.#wallMs + laterMs
    known.dueMs = laterMs === 0 ? 0 : deliverAtMs
    const message = { ...draftOf(known.number, 10), type: 'TRANSACTION' } as const
    const half = laterMs === 0 ? message : { ...message, deliverAtMs }
    this.#settle(
      attempt(() => this.#broker.append(topic, half)),
      {
        ok: ({ transactionId }) => {
          this.#count('prepared')
          known.sent = 'yes'
          known.handle = transactionId ?? ''
          this.#noteWall()
          known.ackedAtMs = this.#wallMaxMs
        },
        refused: () => {
          known.sent = 'no'
        },
      },
    )
  }

  #resolve(pick: number, commit: boolean): void {
    const halves = this.#known.filter(({ isHalf, handle }) => isHalf && handle !== '')
    const known = halves[pick % Math.max(1, halves.length)]
    if (known === undefined) return
    const before = { ...known }
    if (commit) known.commits++
    else this.#doubt(known)
    const resolution = commit ? 'commit' : 'rollback'
    const { topic, handle: transactionId, number } = known
    const ending = this.#broker.transactions.end({
      ...{ topic, transactionId, messageId: `m${number}`, resolution },
    })
    this.#settle(ending, {
      ok: () => {
        this.#count(resolution)
        if (commit) {
          assert.not(before.isRolledBack, 'what was rolled back is not committed')
          known.isCommitted = true
        } else {
          const isOut = before.seenAtStep > 0 || before.isCommitted
          assert.not(isOut, 'what was committed is not rolled back')
          known.isRolledBack = true
          this.#withdraw(known)
        }
      },
      refused: () => {
        if (commit) known.commits--
        else known.doubts--
      },
    })
  }

  /** An end is asked for. */
  #doubt(known: Known): void {
    if (known.doubts++ === 0) known.doubtedAtMs = this.#wallMs
  }

  /** One of the ends that were asked for came to be: at the earliest when the first was. */
  #withdraw(known: Known): void {
    known.doubts--
    if (known.isWithdrawn) return
    known.isWithdrawn = true
    known.endedAtMs = Math.min(known.doubtedAtMs, this.#wallMs)
  }

  #hasEnded(known: Known): boolean {
    return known.seenAtStep > 0 || known.isWithdrawn || !this.#isServing(known)
  }

  #pick(pick: number, isWanted: (known: Known) => boolean): Known | undefined {
    const timers = this.#known.filter((k) => !k.isHalf && k.handle !== '' && isWanted(k))
    return timers[pick % Math.max(1, timers.length)]
  }

  #recall(known: Known | undefined): void {
    if (known === undefined) return
    const { isWithdrawn: wasWithdrawn } = known
    const serving = this.#meet(known.topic)
    const isOwned = serving?.topicId === known.topicId
    this.#doubt(known)
    this.#settle(this.#broker.timers.recall(known.topic, known.handle), {
      ok: async ({ outcome }) => {
        this.#count(outcome)
        if (outcome === 'recalled') this.#withdraw(known)
        else known.doubts--
        if (serving === undefined) return
        if (!isOwned) return assert.is(outcome, 'invalid')
        await this.#recalled(known, { outcome, wasWithdrawn })
      },
      refused: () => {
        known.doubts--
      },
    })
  }

  async #recalled(
    known: Known,
    { outcome, wasWithdrawn }: { outcome: RecallOutcome; wasWithdrawn: boolean },
  ): Promise<void> {
    assert.is.not(outcome, 'invalid', 'a genuine handle of a living topic')
    if (outcome === 'recalled') {
      assert.is(known.seenAtStep, 0, `${known.number} was delivered, and is called recalled`)
      return
    }
    if (outcome === 'delivered')
      assert.not(wasWithdrawn, `${known.number} was recalled, and is called delivered`)
    const nowMs = this.#wallMaxMs
    // It ended, and only who looks knows how and when.
    if (!(await this.#lookFor(known))) return
    if (outcome === 'delivered') {
      assert.ok(known.seenAtStep > 0, `${known.number} is called delivered, and is not there`)
      return
    }
    const isEnded = known.seenAtStep > 0 || !isKept(known)
    assert.ok(isEnded, `${known.number} waits, and is called forgotten`)
    const endedAtMs = known.endedAtMs || known.doubtedAtMs
    const isOld = nowMs - endedAtMs >= MEMORY_MS - MEMORY_MS / 24
    assert.ok(isOld, `${known.number} is remembered for long enough`)
  }

  async #cancel(pick: number): Promise<void> {
    const known = await this.#listed(pick)
    if (known === undefined) return
    this.#doubt(known)
    this.#settle(this.#broker.timers.cancel(known.timerId), {
      ok: (isEnded) => {
        if (!isEnded) return void known.doubts--
        this.#withdraw(known)
        this.#count('cancelled')
      },
      refused: () => {
        known.doubts--
      },
    })
  }

  #cancelAll(topic: string, withinMs: number): void {
    const toMs = this.#wallMs + withinMs
    const topicId = this.#meet(topic)?.topicId
    const pending = this.#known.filter(
      (known) => known.topicId === topicId && known.seenAtStep === 0 && !known.isWithdrawn,
    )
    const { log } = this.#broker
    const { epoch } = log
    const meant = pending.filter((k) => k.sent === 'yes' && isKept(k) && !k.isHalf)
    const hit = new Set(meant.filter(({ moves, dueMs }) => moves === 0 && dueMs < toMs))
    for (const known of pending) this.#doubt(known)
    this.#settle(this.#broker.timers.cancelAll({ topic, toMs }), {
      // Of a write that failed in between, an end may have been undone that nobody was told of.
      ok: () => this.#resolveDoubts(pending, log.epoch === epoch ? hit : undefined),
      refused: () => this.#resolveDoubts(pending),
    })
  }

  /** Where it is tells what became of it. */
  async #resolveDoubts(doubtful: readonly Known[], ended?: ReadonlySet<Known>): Promise<void> {
    const { broker } = this.#living
    const { epoch } = broker.log
    const sent = new Set(doubtful.filter((known) => known.sent === 'yes'))
    // In one page: what moves meanwhile is in it, too.
    const { timers } = await broker.timers.list({ limit: 1_000 })
    const listed = new Set(timers.map(({ messageId }) => messageId))
    // What left the list, and came back or was synced since, tells nothing.
    const isSynced = broker.log.unsyncedBytes === 0 && broker.log.epoch === epoch
    const serving = new Set(doubtful.filter((known) => this.#isServing(known)))
    const isSeen = await this.#look()
    for (const known of doubtful) {
      const isListed = listed.has(`m${known.number}`)
      if (isListed && ended?.has(known) && known.doubts === 1)
        assert.ok(known.moves > 0, `${known.number} waits, although all were cancelled`)
      if (isListed || known.seenAtStep > 0 || (known.isHalf && known.commits === 0)) known.doubts--
      else if (known.isHalf || !sent.has(known) || !isSynced || !isSeen) continue
      else if (serving.has(known) && this.#isServing(known)) this.#withdraw(known)
    }
  }

  async #reschedule(pick: number, inMs: number): Promise<void> {
    const known = await this.#listed(pick)
    if (known === undefined) return
    const dueMs = this.#wallMs + inMs
    const move = ++known.moves
    known.dueMs = Math.min(dueMs, known.dueMs)
    this.#settle(this.#broker.timers.reschedule(known.timerId, dueMs), {
      ok: ({ dueAtMs }) => {
        this.#count('rescheduled')
        if (dueAtMs === dueMs && known.moves === move) known.dueMs = dueMs
      },
    })
  }

  async #fire(pick: number): Promise<void> {
    const known = await this.#listed(pick)
    if (known === undefined) return
    known.isByHand = true
    this.#settle(this.#broker.timers.fire(known.timerId), {
      ok: async () => {
        this.#count('fired')
        if (await this.#lookFor(known))
          assert.ok(known.seenAtStep > 0, `${known.number} was fired and is there`)
      },
    })
  }

  /** One of the timers that the broker says are pending. */
  async #listed(pick: number): Promise<Known | undefined> {
    if (this.#broker.log.mode !== 'writing' || !this.#broker.index.isOpen) return undefined
    const timers = await this.lives.clock.until(this.#list()).catch(() => [])
    const timer = timers[pick % Math.max(1, timers.length)]
    const known = this.#known[Number(timer?.messageId.slice(1) ?? -1)]
    if (known && timer) known.timerId = timer.timerId
    return known
  }

  async #list() {
    const timers = []
    for (let after: string | undefined; ; ) {
      const page = this.#broker.timers.list({ limit: 4, ...(after && { after }) })
      const { timers: some, next } = await page
      timers.push(...some)
      if (next === undefined) return timers
      after = next
    }
  }

  // ——— lives

  async #open(): Promise<void> {
    if (this.#life) return
    try {
      this.#life = await this.lives.open()
    } catch (error) {
      if (!this.#isTroubled) throw error
      this.#repair()
      this.#life = await this.lives.open()
    }
    const life = this.#life
    for (const name of topicNames) this.#meet(name)
    life.broker.transactions.register({
      topics: new Set(topicNames),
      check: ({ message, transactionId }) => {
        if (life.isAlive) this.#checked(numberIn(message.body), transactionId)
        return true
      },
    })
  }

  #checked(number: number, transactionId: string): void {
    this.#count('checked')
    const known = this.#known[number]
    try {
      assert.ok(known?.isHalf)
      assert.not(known.isRolledBack, `${number} is asked for after its rollback`)
      assert.is(known.seenAtStep, 0, `${number} is asked for after its commit`)
      if (known.handle !== '') assert.is(transactionId, known.handle)
      known.handle = transactionId
    } catch (error) {
      this.#failure ??= error
    }
  }

  async #heal(): Promise<void> {
    this.#repair()
    const { broker } = this.#living
    const isOpen = (): boolean => broker.log.mode === 'writing' && broker.index.isOpen
    for (let round = 0; round < 120 && !isOpen(); round++) await this.lives.clock.advance(500)
    assert.ok(isOpen(), 'a healed broker writes again')
    await this.lives.clock.settle()
  }

  #repair(): void {
    this.lives.place.heal()
    this.lives.place.freeDisk()
    this.#isTroubled = false
  }

  async #rest(): Promise<void> {
    await this.#heal()
    const { broker } = this.#living
    for (let round = 0; round < 300 && !this.#isAtRest(broker); round++)
      await this.lives.clock.advance(100)
    assert.ok(this.#isAtRest(broker), 'a healed broker comes to rest')
    await this.lives.clock.settle()
    this.#noteWall()
    await this.#check()
  }

  #isAtRest(broker: CoreBroker): boolean {
    const { table } = broker.state.deferred.timer
    const isDue = table.first >= 0 && (table.dueMs[table.first] as number) <= this.#wallMs
    // In the middle of a round, chunks that were given up may not have been removed yet.
    const isResting = broker.upkeep.loop.state === 'resting'
    return isSettled(broker) && isResting && !isDue && this.#isTicking(broker) && !isEnding(broker)
  }

  #isTicking(broker: CoreBroker): boolean {
    const loops = [...broker.loops()].filter(({ address }) => address === 'timer-wheel')
    return loops.every(({ state }) => JSON.stringify(state) === '{"ticking":"waiting"}')
  }

  async #restart(): Promise<void> {
    await this.#rest()
    await this.#findResidue()
    const before = await this.#snapshot()
    await this.#close()
    await this.#open()
    assert.is(
      differences(before, await this.#snapshot()).join('\n'),
      '',
      'a restart changes nothing',
    )
    await this.#findResidue()
  }

  async #rebuild(): Promise<void> {
    await this.#rest()
    const before = await this.#snapshot()
    await this.#close()
    await this.#clearIndex()
    await this.#open()
    const changed = differences(before, await this.#snapshot())
    assert.is(changed.join('\n'), '', 'the index comes back from the log')
  }

  async #snapshot(): Promise<string[]> {
    const { clock } = this.lives
    const { transactions } = await clock.until(this.#broker.transactions.list({ limit: 1_000 }))
    const timers = await clock.until(this.#list())
    return [
      ...snapshotOf(this.#broker).filter((line) => !line.startsWith('gaps')),
      ...timers.map((timer) => `timer ${JSON.stringify(timer)}`),
      ...transactions.map((half) => `transaction ${JSON.stringify(half)}`),
    ]
  }

  async #clearIndex(): Promise<void> {
    const { clock, place } = this.lives
    const index = await clock.until(place.openDatabase('index'))
    await clock.until(index.clear({}))
    await clock.until(index.close())
  }

  async #close(): Promise<void> {
    const life = this.#living
    await this.lives.clock.until(life.broker.close())
    await this.lives.clock.settle()
    this.#checkFailure()
    life.die()
    this.#life = undefined
  }

  async #powerCut(seed: number): Promise<void> {
    this.#living.die()
    this.#life = undefined
    this.lives.place.crash(seed)
    this.#repair()
    await this.lives.clock.settle()
  }

  // ——— what must hold

  #checkFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }

  async #check(): Promise<void> {
    this.#checkFailure()
    if (this.#life === undefined) return
    const { broker } = this.#life
    if (broker.log.mode !== 'writing') return
    if (!(await this.lives.clock.until(this.#look()))) return
    if (broker.log.unsyncedBytes > 0) return
    for (const name of topicNames) this.#checkCount(name)
  }

  /** The gauge is the size of the set: what was scheduled, and neither delivered nor ended. */
  #checkCount(name: string): void {
    const serving = this.#meet(name)
    if (serving?.state !== 'serving') return
    let certain = 0
    let possible = 0
    for (const known of this.#known) {
      if (known.topicId !== serving.topicId || known.seenAtStep > 0) continue
      if (known.sent === 'no' || known.isWithdrawn) continue
      possible++
      if (known.sent === 'yes' && isKept(known)) certain++
    }
    const counted = this.#broker.timers.count(name) + this.#broker.transactions.count(name)
    const says = `${name}: ${counted} counted, ${certain} to ${possible} wait`
    assert.ok(certain <= counted && counted <= possible, says)
  }

  /** Reads every topic, and looks at what is new there. False when the disk does not answer. */
  async #look(): Promise<boolean> {
    try {
      for (const name of topicNames) if (!(await this.#lookAt(name))) return false
      return true
    } catch (error) {
      if (!isBrokerError(error, 'STORE_UNAVAILABLE')) throw error
      return false
    }
  }

  /** True when a message that is in its topic was certainly seen. */
  async #lookFor(known: Known): Promise<boolean> {
    const wasServing = this.#isServing(known)
    return (await this.#look()) && wasServing && this.#isServing(known)
  }

  async #lookAt(name: string): Promise<boolean> {
    const serving = this.#meet(name)
    const topic = this.#broker.state.topicNamed(name)
    const queue = topic?.queues[0]
    if (serving?.state !== 'serving' || queue === undefined) return true
    const places = new Map<number, number>()
    for (let offset = queue.offsetMin; offset < queue.offsetMax; offset++) {
      await queue.load(offset)
      const unit = queue.unit(offset)
      const chunk = unit && (await this.#broker.log.load(unit.chunk))
      if (unit === undefined || chunk === undefined) return false
      const { type, payload } = recordAt(chunk, unit.chunk, unit.at)
      const { body, storeAtMs } = readMessage(type, payload)
      const number = numberIn(body)
      if (number < 0) continue
      assert.not(places.has(number), `${number} is there twice`)
      places.set(number, offset)
      this.#seen(number, { offset, storeAtMs, topicId: serving.topicId })
    }
    this.#checkOrder(places)
    return true
  }

  #seen(number: number, at: { offset: number; storeAtMs: number; topicId: number }): void {
    const known = this.#known[number] as Known
    assert.is(known.topicId, at.topicId, `${number} is in its own topic`)
    assert.is.not(known.sent, 'no', `${number} was refused`)
    assert.not(known.isWithdrawn, `${number} was recalled or rolled back`)
    if (known.isHalf) assert.ok(known.commits > 0, `${number} is shown before its commit`)
    if (known.seenAtStep > 0) return assert.is(known.place, at.offset, `${number} stays`)
    known.seenAtStep = this.#step
    known.place = at.offset
    known.endedAtMs = at.storeAtMs
    known.sent = 'yes'
    this.#noteWall()
    const isEarly = at.storeAtMs < Math.floor(known.dueMs)
    if (!known.isByHand) assert.not(isEarly, `${number} is early: due ${known.dueMs}`)
  }

  /** Of two that waited when the later one fired, the one due earlier comes first. */
  #checkOrder(places: ReadonlyMap<number, number>): void {
    const fired = [...places]
      .map(([number]) => this.#known[number] as Known)
      .filter(({ isHalf, moves, isByHand }) => !isHalf && moves === 0 && !isByHand)
      .sort((a, b) => a.place - b.place)
    for (let index = 1; index < fired.length; index++) {
      const before = fired[index - 1] as Known
      const after = fired[index] as Known
      if (after.dueMs < before.dueMs)
        assert.ok(
          after.ackedAtMs >= before.endedAtMs,
          `${after.number} is due before ${before.number}, and comes after`,
        )
    }
  }

  async #findResidue(): Promise<void> {
    const metrics = { series: async () => [] }
    const { residue } = await this.lives.clock.until(
      audit(this.#broker, metrics as unknown as Parameters<typeof audit>[1], 0),
    )
    assert.equal(residue, [], 'nothing is left of what ended')
  }

  /** Follows an answer for as long as the broker that gives it lives. */
  #settle<Answer>(
    answer: Promise<Answer>,
    hear: {
      ok?: (answer: Answer) => void | Promise<void>
      refused?: (error: unknown) => void | Promise<void>
    },
  ): void {
    const life = this.#living
    const guarded = (work: () => void | Promise<void>): void => {
      if (!life.isAlive) return
      const fail = (error: unknown): void => {
        if (life.isAlive && !isBrokerError(error)) this.#failure ??= error
      }
      try {
        void Promise.resolve(work()).catch(fail)
      } catch (error) {
        fail(error)
      }
    }
    answer.then(
      (value) => guarded(() => hear.ok?.(value)),
      (error: unknown) =>
        guarded(() => {
          assert.ok(isBrokerError(error), `a coded error, not ${(error as Error)?.stack}`)
          if (!isBrokerError(error, 'OUTCOME_UNKNOWN', 'BROKER_CLOSED'))
            return hear.refused?.(error)
        }),
    )
  }
}

/** A step of an ending that failed is tried again. */
const isEnding = ({ supervisions, state }: CoreBroker): boolean =>
  [...supervisions.topics.addresses()].some(
    (address) => state.topics.get(Number(address.split(':')[1]))?.status !== 'serving',
  )

/** Nobody asked for its end, or it certainly did not come to be. */
const isKept = ({ isWithdrawn, doubts }: Known): boolean => !isWithdrawn && doubts === 0

const nameOf = (index: number): string => topicNames[index % topicNames.length] as string

const numberIn = (body: Uint8Array): number => Number(Buffer.from(body).toString().split(' ')[0])

const draftOf = (number: number, bytes: number) =>
  encodeDraft(
    { body: `${number} ${'x'.repeat(bytes)}` },
    { messageId: `m${number}`, bornAtMs: 1, bornHost: 'here' },
  )

const attempt = <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
  try {
    return call()
  } catch (error) {
    return Promise.reject(error)
  }
}
