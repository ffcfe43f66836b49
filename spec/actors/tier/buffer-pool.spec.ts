import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BufferPool } from '../../../actors/tier/buffer-pool.ts'
import { Allowance } from '../../../actors/tier/allowance.ts'
import { holds } from '../../support/property.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'

const BYTES_MAX = 100
const SLAB_BYTES = 40

const newPool = (clock = new SimulatedClock()) =>
  new BufferPool({ bytesMax: BYTES_MAX, slabBytes: SLAB_BYTES, idleMs: 1_000, clock })

interface Use {
  readonly bytes: number
  readonly ms: number
  readonly ending: 'success' | 'throw' | 'throwAtOnce' | 'cancel' | 'cancelled'
}

const aUse: fc.Arbitrary<Use> = fc.record({
  bytes: fc.constantFrom(1, 40, 41, 100, 250),
  ms: fc.nat(3),
  ending: fc.constantFrom('success', 'throw', 'throwAtOnce', 'cancel', 'cancelled'),
})

const Pool = suite('buffer pool')

Pool('everything is back whatever happened, and never more is out than there is', () =>
  holds(
    fc.asyncProperty(fc.array(aUse, { maxLength: 20 }), fc.nat(8), async (uses, shutdownMs) => {
      const clock = new SimulatedClock()
      const pool = newPool(clock)
      const shutdown = new AbortController()
      const out = new Set<Buffer>()
      const run = async ({ bytes, ms, ending }: Use): Promise<void> => {
        const cancel = new AbortController()
        const signal = AbortSignal.any([shutdown.signal, cancel.signal])
        if (ending === 'cancelled') cancel.abort(new Error('cancelled before'))
        if (ending === 'cancel') clock.after(ms, () => cancel.abort(new Error('cancelled')))
        await pool.use(bytes, signal, (buffer) => {
          if (ending === 'throwAtOnce') throw new Error('at once')
          assert.is(buffer.length, bytes)
          for (const other of out)
            assert.is.not(other.buffer === buffer.buffer, true, 'two have the same memory')
          out.add(buffer)
          const total = [...out].reduce((sum, { length }) => sum + Math.max(length, SLAB_BYTES), 0)
          assert.ok(out.size === 1 || total <= BYTES_MAX, `${total} bytes in use`)
          return new Promise<void>((resolve, reject) =>
            clock.after(ms, () => {
              out.delete(buffer)
              if (ending === 'throw') reject(new Error('thrown'))
              else resolve()
            }),
          )
        })
      }
      const failures: unknown[] = []
      const running = uses.map((use) =>
        run(use).catch((error: unknown) => {
          if (error instanceof assert.Assertion) failures.push(error)
        }),
      )
      clock.after(shutdownMs, () => shutdown.abort(new Error('shutdown')))
      await clock.until(Promise.all(running))
      if (failures.length > 0) throw failures[0]
      const { buffers, bytes, waiters } = pool.gauges
      assert.equal({ buffers, bytes, waiters }, { buffers: 0, bytes: 0, waiters: 0 })
      await clock.advance(1_001)
      assert.is(pool.keptBytes, 0, 'what nobody uses goes back to the system')
      assert.is(clock.pending, 0)
    }),
    { runs: 200 },
  ),
)

Pool('who wants more than there is waits for all, and is overtaken by nobody', async () => {
  const pool = newPool()
  const order: string[] = []
  let release = (): void => {}
  const never = new AbortController().signal
  const first = pool.use(1, never, () => new Promise<void>((resolve) => (release = resolve)))
  const large = pool.use(250, never, async (buffer) => {
    order.push(`large ${buffer.length} with ${pool.gauges.buffers}`)
  })
  const small = pool.use(1, never, async () => {
    order.push('small')
  })
  await Promise.resolve()
  assert.is(pool.gauges.waiters, 2)
  release()
  await Promise.all([first, large, small])
  assert.equal(order, ['large 250 with 1', 'small'])
  assert.is(pool.gauges.highWaterBytes, 250)
})

Pool('memory is used again, but not what a failure may have left with somebody', async () => {
  const pool = newPool()
  const signal = new AbortController().signal
  const memory = async (fails: boolean): Promise<ArrayBufferLike> => {
    let seen: ArrayBufferLike | undefined
    await pool
      .use(8, signal, async ({ buffer }) => {
        seen = buffer
        if (fails) throw new Error('the request cannot be broken off')
      })
      .catch(() => {})
    return seen as ArrayBufferLike
  }
  const first = await memory(false)
  const second = await memory(true)
  assert.ok(first === second)
  assert.not(second === (await memory(false)))
})

Pool('permits come back however their scope ends', async () => {
  const permits = new Allowance(1)
  const cancel = new AbortController()
  const { signal } = new AbortController()
  let release = (): void => {}
  const held = permits.use(1, signal, () => new Promise<void>((resolve) => (release = resolve)))
  const cancelled = permits.use(1, cancel.signal, async () => assert.unreachable())
  cancel.abort(new Error('cancelled'))
  assert.is(await cancelled.catch((error: Error) => error.message), 'cancelled')
  assert.is(permits.waiters, 0)
  release()
  await held
  const thrown = permits.use(1, signal, () => {
    throw new Error('at once')
  })
  assert.is(await thrown.catch((error: Error) => error.message), 'at once')
  assert.is(permits.users + permits.inUse, 0)
})

Pool.run()
