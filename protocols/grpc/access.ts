import type { Principal, Proof, Right } from '../../model/access.ts'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import { BrokerError, isBrokerError } from '../../model/errors.ts'
import type { CallContext } from './context.ts'

/** What a call needs to be allowed: on a topic, or for a group to subscribe. */
export type Need =
  | { readonly topic: string; readonly rights: readonly Right[] }
  | { readonly group: string }

export const publishTo = (topic: string): Need => ({ topic, rights: ['publish'] })
export const subscribeTo = (topic: string): Need => ({ topic, rights: ['subscribe'] })
/** Either right will do. */
export const anyOf = (topic: string): Need => ({ topic, rights: ['publish', 'subscribe'] })
export const asGroup = (group: string): Need => ({ group })

const refuse = (reason: string) => new BrokerError('ACCESS_KEY_REFUSED', { reason })

/**
 * `MQv2-HMAC-SHA1 Credential=<key>[/…], SignedHeaders=x-mq-date-time, Signature=<hex>`; the text
 * that is signed is the header `x-mq-date-time` (RocketMQ gRPC 2). It is never compared with the
 * clock: clients write their local time.
 */
const proofOf = (context: CallContext): Proof => {
  const authorization = context.header('authorization').trim()
  if (authorization === '') throw refuse('the call has no header authorization')
  const pairs = new Map(
    authorization
      .slice(authorization.indexOf(' ') + 1)
      .split(',')
      .map((pair): [string, string] => {
        const at = pair.indexOf('=')
        return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
      }),
  )
  const [accessKey = ''] = (pairs.get('Credential') ?? '').split('/')
  const signature = pairs.get('Signature') ?? ''
  const signedText = context.header('x-mq-date-time')
  if (accessKey === '' || !/^[0-9a-fA-F]{40}$/.test(signature))
    throw refuse('the header authorization is malformed')
  if (signedText === '') throw refuse('the call has no header x-mq-date-time')
  return { accessKey, signedText, signature: Buffer.from(signature, 'hex') }
}

const SHOWN_MAX = 64

/** Told to the log, without what strangers could fill it with. */
const logged = <Result>({ clientId, door }: CallContext, act: () => Result): Result => {
  try {
    return act()
  } catch (error) {
    if (isBrokerError(error))
      door.logRefusal(
        { clientId: clientId.slice(0, SHOWN_MAX), code: error.code, reason: error.message },
        'a call was refused',
      )
    throw error
  }
}

/** Who calls; undefined where there are no accounts. Throws `ACCESS_KEY_REFUSED`. */
export const authenticate = (context: CallContext): Principal | undefined => {
  const { access } = context.door
  return access === undefined ? undefined : logged(context, () => access.verify(proofOf(context)))
}

const isMet = (principal: Principal, need: Need): boolean =>
  'group' in need
    ? principal.mayAsGroup(need.group)
    : need.rights.some((right) => principal.mayOnTopic(right, need.topic))

/** Throws `RIGHT_MISSING` for the first need that is not met. */
export const authorize = (
  context: CallContext,
  principal: Principal | undefined,
  needs: readonly Need[],
): void => {
  if (principal !== undefined) logged(context, () => check(principal, needs))
}

const check = (principal: Principal, needs: readonly Need[]): void => {
  const missing = needs.find((need) => !isMet(principal, need))
  if (missing === undefined) return
  const { accessKey } = principal
  throw new BrokerError(
    'RIGHT_MISSING',
    'group' in missing
      ? { accessKey, right: 'subscribe', what: `topics as group '${missing.group}'` }
      : { accessKey, right: missing.rights.join(' or '), what: `topic '${missing.topic}'` },
  )
}

/**
 * Opens a handle. Where there are accounts it must be of the topic and group that were named,
 * since it is these that the caller has rights on.
 */
export const openHandle = (
  { door: { access, broker } }: CallContext,
  text: string,
  named: { readonly topic: string; readonly group: string },
): ReceiptHandle => {
  const handle = broker.openHandle(text)
  if (access === undefined) return handle
  const isNamed =
    broker.topics.find(named.topic)?.topicId === handle.topicId &&
    broker.groups.find(named.group)?.groupId === handle.groupId
  if (isNamed) return handle
  throw new BrokerError('RECEIPT_HANDLE_INVALID', { reason: 'it is of another topic or group' })
}
