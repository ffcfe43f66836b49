import type { ReceiptHandle } from '../../../model/delivery/receipt-handle.ts'

/** What a group knows of one message. Attempt 0 was never delivered. */
interface Progress {
  readonly attempt: number
  readonly generation: number
  readonly epoch: number
  readonly untilMs: number
  readonly attemptId: string
  readonly isAcked: boolean
}

export interface GroupModel {
  readonly incarnation: number
  readonly isPaused: boolean
  readonly resets: number
  readonly progress: readonly Progress[]
}

/** A topic of one queue and the groups that read it: arrays, copied at every step. */
export interface Model {
  /** By queue offset the message group. */
  readonly messages: readonly string[]
  readonly groups: readonly GroupModel[]
}

export interface Moment {
  readonly nowMs: number
  readonly wallMs: number
  readonly epoch: number
}

export interface Step {
  readonly model: Model
  readonly answer: string
}

export interface Held {
  readonly group: number
  readonly incarnation: number
  readonly handle: ReceiptHandle
}

export const EXPIRED = 'RECEIPT_HANDLE_EXPIRED'

const fresh: Progress = {
  ...{ attempt: 0, generation: 0, epoch: 0, untilMs: 0, attemptId: '', isAcked: false },
}

export const newGroup = (model: Model, incarnation: number): GroupModel => ({
  incarnation,
  isPaused: false,
  resets: 0,
  progress: model.messages.map(() => fresh),
})

const isLeased = ({ isAcked, untilMs }: Progress, { nowMs }: Moment): boolean =>
  !isAcked && untilMs > nowMs

export const send = (model: Model, messageGroup: string): Model => ({
  messages: [...model.messages, messageGroup],
  groups: model.groups.map((group) => ({ ...group, progress: [...group.progress, fresh] })),
})

export const withGroup = (model: Model, index: number, group: GroupModel): Model => ({
  ...model,
  groups: model.groups.map((other, at) => (at === index ? group : other)),
})

const withProgress = (
  model: Model,
  index: number,
  changes: ReadonlyMap<number, Progress>,
): Model => {
  const group = model.groups[index] as GroupModel
  const progress = group.progress.map((each, offset) => changes.get(offset) ?? each)
  return withGroup(model, index, { ...group, progress })
}

const said = (deliveries: ReadonlyMap<number, Progress>): string =>
  Array.from(deliveries, ([offset, { attempt }]) => `${offset}.${attempt}`).join(' ')

/**
 * In offset order, without what is done or out. What is out, or passed over, holds back all later
 * messages of its message group.
 */
export const receive = (
  model: Model,
  index: number,
  asked: { batchMax: number; invisibleMs: number; attemptId: string },
  moment: Moment,
): Step => {
  const { isPaused, progress } = model.groups[index] as GroupModel
  if (isPaused) return { model, answer: '' }
  const again = progress
    .map((each, offset) => [offset, each] as const)
    .filter(([, each]) => isLeased(each, moment) && each.attemptId === asked.attemptId)
  if (asked.attemptId !== '' && again.length > 0) return { model, answer: said(new Map(again)) }
  const taken = new Map<number, Progress>()
  const blocked = new Set<string>()
  for (const [offset, each] of progress.entries()) {
    const messageGroup = model.messages[offset] as string
    if (each.isAcked || blocked.has(messageGroup)) continue
    if (isLeased(each, moment)) {
      if (messageGroup !== '') blocked.add(messageGroup)
      continue
    }
    if (taken.size === asked.batchMax) break
    taken.set(offset, {
      ...fresh,
      attempt: each.attempt + 1,
      epoch: moment.epoch,
      untilMs: moment.nowMs + asked.invisibleMs,
      attemptId: asked.attemptId,
    })
  }
  return { model: withProgress(model, index, taken), answer: said(taken) }
}

type Standing = 'counts' | 'acked' | 'expired'

/** A genuine handle that is newer than what is known tells of a lease that a crash has lost. */
const standingOf = (model: Model, { group, incarnation, handle }: Held, moment: Moment) => {
  const known = model.groups[group] as GroupModel
  const progress = known.progress[handle.queueOffset] as Progress
  const standing = (): Standing => {
    if (known.incarnation !== incarnation || progress.isAcked) return 'acked'
    if (known.resets !== handle.resets) return 'expired'
    const { attempt, generation, epoch } = progress
    const age =
      (epoch > 0 ? epoch - handle.epoch : 0) ||
      attempt - handle.attempt ||
      generation - handle.generation
    if (age === 0) return isLeased(progress, moment) ? 'counts' : 'expired'
    return age < 0 && handle.invisibleUntilMs > moment.wallMs ? 'counts' : 'expired'
  }
  return { progress, standing: standing() }
}

export const ack = (model: Model, held: Held, moment: Moment): Step => {
  const { progress, standing } = standingOf(model, held, moment)
  if (standing === 'expired') return { model, answer: EXPIRED }
  if (standing === 'acked') return { model, answer: 'done' }
  const acked = new Map([[held.handle.queueOffset, { ...progress, isAcked: true }]])
  return { model: withProgress(model, held.group, acked), answer: 'done' }
}

export const extend = (model: Model, held: Held, ms: number, moment: Moment): Step => {
  const { progress, standing } = standingOf(model, held, moment)
  if (standing !== 'counts') return { model, answer: EXPIRED }
  const { attempt, generation, epoch, queueOffset } = held.handle
  // Only what was leased under an attempt id is repeated under it.
  const attemptId = progress.attempt === attempt ? progress.attemptId : ''
  const extended: Progress = {
    ...{ attempt, epoch, attemptId, isAcked: false },
    generation: generation + 1,
    untilMs: moment.nowMs + ms,
  }
  const changes = new Map([[queueOffset, extended]])
  return { model: withProgress(model, held.group, changes), answer: 'done' }
}

export const reset = (model: Model, index: number, to: number): Model => {
  const group = model.groups[index] as GroupModel
  const progress = group.progress.map((_, offset) => ({ ...fresh, isAcked: offset < to }))
  return withGroup(model, index, { ...group, progress, resets: group.resets + 1 })
}

/** In flight and lag of each group. */
export const gaugesOf = (model: Model, moment: Moment): string =>
  model.groups
    .map(({ progress }) => {
      const inFlight = progress.filter((each) => isLeased(each, moment)).length
      return `${inFlight}/${progress.filter(({ isAcked }) => !isAcked).length}`
    })
    .join(' ')
