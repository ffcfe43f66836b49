import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Gate } from '../../actors/system/gate.ts'
import { BrokerError, isBrokerError } from '../../model/errors.ts'
import { holds } from '../support/property.ts'

const closed = () => new BrokerError('TOPIC_ENDING', { topic: 't' })
const throttled = () => new BrokerError('THROTTLED', { reason: 'spec' })

const refusalOf = (work: () => void): string | undefined => {
  try {
    work()
    return undefined
  } catch (error) {
    return isBrokerError(error) ? error.code : 'other'
  }
}

const GateSpec = suite('gate')

GateSpec('lets nothing pass while closed, and only what adds no bytes while throttled', () =>
  holds(
    fc.property(fc.array(fc.constantFrom('open', 'throttle', 'close')), (steps) => {
      const gate = new Gate(closed)
      let isClosed = true
      let isThrottled = false
      for (const step of steps) {
        if (step === 'open') gate.open()
        else if (step === 'throttle') gate.throttle(throttled)
        else gate.close(closed)
        isClosed = step === 'close' || (isClosed && step !== 'open')
        isThrottled = step === 'throttle' || (isThrottled && step !== 'open')
        const adding = isClosed ? 'TOPIC_ENDING' : isThrottled ? 'THROTTLED' : undefined
        assert.is(
          refusalOf(() => gate.pass()),
          isClosed ? 'TOPIC_ENDING' : undefined,
        )
        assert.is(
          refusalOf(() => gate.passAdding()),
          adding,
        )
      }
    }),
  ),
)

GateSpec('tells when everybody inside has left, however they left', async () => {
  const gate = new Gate()
  const leave: ((isWell: boolean) => void)[] = []
  const inside = [0, 1, 2].map(() =>
    gate
      .hold(
        () =>
          new Promise<void>((resolve, reject) =>
            leave.push((well) => (well ? resolve() : reject(closed()))),
          ),
      )
      .catch(() => {}),
  )
  gate.close(closed)
  let isEmpty = false
  const emptied = gate.whenEmpty().then(() => {
    isEmpty = true
  })
  assert.is(gate.inside, 3)
  leave[0]?.(true)
  leave[1]?.(false)
  await inside[1]
  assert.not(isEmpty)
  leave[2]?.(true)
  await emptied
  assert.is(gate.inside, 0)
  await gate
    .hold(async () => {})
    .then(
      () => assert.unreachable('it is closed'),
      () => {},
    )
  await gate.whenEmpty()
})

GateSpec.run()
