import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import { oneAtATime } from '../../../protocols/http/one-at-a-time.ts'

/** Lends `parts`, of which an error is thrown; counts streams that have not ended. */
const lending = (parts: readonly (string | Error)[]) => {
  let open = 0
  const lend = oneAtATime('a spec', async function* () {
    open++
    try {
      for (const part of parts) {
        if (part instanceof Error) throw part
        yield part
      }
    } finally {
      open--
    }
  })
  return { lend, open: () => open }
}

const refusal = (error: unknown): unknown => error
const read = async (lent: AsyncIterableIterator<string>, count: number): Promise<string[]> => {
  const parts: string[] = []
  for (let index = 0; index < count; index++) {
    const { done, value } = await lent.next()
    parts.push(done === true ? 'done' : value)
  }
  return parts
}

const Lending = suite('a stream for one at a time')

Lending('is refused while somebody has it, and this disturbs nobody', async () => {
  const { lend } = lending(['a', 'b'])
  const lent = await lend()
  assert.ok(isBrokerError(await lend().catch(refusal), 'THROTTLED'))
  assert.equal(await read(lent, 1), ['a'])
  assert.ok(isBrokerError(await lend().catch(refusal), 'THROTTLED'))
  assert.equal(await read(lent, 2), ['b', 'done'])
})

Lending('is free once it was read to its end, which nobody else has to do', async () => {
  const { lend, open } = lending(['a'])
  for (let turn = 0; turn < 3; turn++) assert.equal(await read(await lend(), 2), ['a', 'done'])
  assert.is(open(), 0)
})

Lending('is free once an empty one was read', async () => {
  const { lend } = lending([])
  for (let turn = 0; turn < 3; turn++) assert.equal(await read(await lend(), 1), ['done'])
})

Lending('is free once it failed, at its beginning or later', async () => {
  for (const parts of [[], ['a']]) {
    const { lend, open } = lending([...parts, new Error('broken')])
    for (let turn = 0; turn < 3; turn++) {
      const error: unknown = await lend()
        .then((lent) => read(lent, 2))
        .catch(refusal)
      assert.is((error as Error).message, 'broken')
    }
    assert.is(open(), 0)
  }
})

Lending('is free once whoever had it reads no further', async () => {
  const { lend, open } = lending(['a', 'b'])
  for (let turn = 0; turn < 3; turn++) {
    const lent = await lend()
    assert.equal(await read(lent, turn), ['a', 'b'].slice(0, turn))
    await lent.return?.()
    assert.is(open(), 0)
  }
})

Lending.run()
