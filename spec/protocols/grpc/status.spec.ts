import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError } from '../../../model/errors.ts'
import { aggregateOf, codes, named, OK, refused, statusOf } from '../../../protocols/grpc/status.ts'
import { recordingLogger } from './support/calls.ts'
import { definition } from './support/official.ts'

const Status = suite('statuses')

Status('have the official numbers', () => {
  // The generated classes are older than this one code.
  const { INVALID_CLIENT_PROPERTIES, ...official } = codes
  for (const [name, code] of Object.entries(official))
    assert.is(definition.Code[name as keyof typeof definition.Code], code, name)
  assert.is(INVALID_CLIENT_PROPERTIES, 40021)
})

Status('of a refusal say its sentence', () => {
  const error = new BrokerError('RECEIPT_HANDLE_EXPIRED', {})
  assert.equal(refused(error), { code: 40013, message: 'receipt handle is expired' })
  const missing = new BrokerError('TOPIC_NOT_FOUND', { topic: 'orders' })
  assert.equal(refused(missing), { code: 40402, message: "topic 'orders' does not exist" })
})

Status('of what is not built is NOT_IMPLEMENTED, of a full disk TOO_MANY_REQUESTS', () => {
  assert.is(refused(new BrokerError('NOT_BUILT', { what: 'x' })).code, 50100)
  assert.is(refused(new BrokerError('DISK_FULL', { usedPercent: 91, freeMiB: 1 })).code, 42900)
  assert.is(refused(new BrokerError('THROTTLED', { reason: 'x' })).code, 42900)
  assert.is(refused(new BrokerError('OUTCOME_UNKNOWN', { waitedMs: 1 })).code, 50401)
})

Status('of a defect tell nothing and are logged', () => {
  const logger = recordingLogger()
  const { code, message } = statusOf(new TypeError('secret'), logger, 'AckMessage')
  assert.is(code, 50001)
  assert.not.match(message, /secret/)
  assert.equal(
    logger.lines.map(({ level }) => level),
    ['error'],
  )
  statusOf(new BrokerError('BROKER_CLOSED', {}), logger, 'AckMessage')
  assert.is(logger.lines.length, 1)
})

Status('together are one: all equal, different, none', () => {
  const expired = refused(new BrokerError('RECEIPT_HANDLE_EXPIRED', {}))
  const invalid = refused(new BrokerError('RECEIPT_HANDLE_INVALID', { reason: 'x' }))
  assert.equal(aggregateOf([OK]), { code: 20000, message: 'OK' })
  assert.equal(aggregateOf([OK, OK]), { code: 20000, message: 'OK' })
  assert.equal(aggregateOf([expired]), { code: 40013, message: 'INVALID_RECEIPT_HANDLE' })
  assert.equal(aggregateOf([expired, invalid]), named('INVALID_RECEIPT_HANDLE'))
  assert.equal(aggregateOf([OK, expired]), { code: 30000, message: 'MULTIPLE_RESULTS' })
  assert.equal(aggregateOf([expired, OK]), { code: 30000, message: 'MULTIPLE_RESULTS' })
  assert.equal(aggregateOf([]), { code: 50001, message: 'INTERNAL_SERVER_ERROR' })
})

Status.run()
