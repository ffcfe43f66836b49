import { config, map, Subject } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ClockScheduler } from '../../actors/system/clock-scheduler.ts'
import { type Wake, wakes } from '../../streams/offload/wakes.stream.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

const told = (wake: Wake<string>): string =>
  wake.type === 'tick' ? 'tick' : [...wake.owners].sort().join('')

/** In the time that the broker has: simulated. */
const follow = (onWake: (wake: string) => void) => {
  const clock = new SimulatedClock()
  const news$ = new Subject<Iterable<string>>()
  const options = { gatherMs: 3, tickMs: 10, scheduler: new ClockScheduler(clock) }
  const following = wakes(news$, options).subscribe((wake) => onWake(told(wake)))
  return { clock, news$, following }
}

const Wakes = suite('wakes')

Wakes('ticks at once and for ever, gathers bursts, and tells nothing of no news', () => {
  const scheduler = new TestScheduler((actual, expected) => assert.equal(actual, expected))
  scheduler.run(({ hot, expectObservable, expectSubscriptions }) => {
    const values = { a: ['a'], b: ['b'], x: [] as string[] }
    const news = hot('-ab-----ba-----x----------------', values)
    const expected = 't---m-----tm--------t---------t-'
    const followed = '^------------------------------!'
    const wakes$ = wakes(news, { gatherMs: 3, tickMs: 10, scheduler })
    const told$ = wakes$.pipe(map(told))
    expectObservable(told$, followed).toBe(expected, { t: 'tick', m: 'ab' })
    expectSubscriptions(news.subscriptions).toBe([followed])
  })
})

Wakes('tells of an owner once in a burst, and again in the next', () => {
  const scheduler = new TestScheduler((actual, expected) => assert.equal(actual, expected))
  scheduler.run(({ hot, expectObservable }) => {
    const news = hot('-aaa-aaa--', { a: ['a'] })
    const expected = 't---a---a-'
    const wakes$ = wakes(news, { gatherMs: 3, tickMs: 1_000, scheduler })
    expectObservable(wakes$.pipe(map(told)), '^--------!').toBe(expected, { t: 'tick', a: 'a' })
  })
})

Wakes('go on after an error of whoever is woken', async () => {
  const errors: unknown[] = []
  const seen: string[] = []
  config.onUnhandledError = (error) => errors.push(error)
  const { clock, news$, following } = follow((wake) => {
    seen.push(wake)
    throw new Error(wake)
  })
  news$.next(['a'])
  await clock.advance(10)
  news$.next(['b'])
  await clock.advance(10)
  assert.equal(seen, ['tick', 'a', 'tick', 'b', 'tick'])
  following.unsubscribe()
  await new Promise((resolve) => setTimeout(resolve, 1))
  config.onUnhandledError = null
  assert.is(errors.length, 5, 'none is swallowed')
})

Wakes('leave no timer behind, whenever their subscriber goes', async () => {
  for (let goesMs = 0; goesMs < 25; goesMs++) {
    const { clock, news$, following } = follow(() => {})
    for (const atMs of [0, 1, 9, 10]) clock.after(atMs, () => news$.next(['a']))
    await clock.advance(goesMs)
    following.unsubscribe()
    assert.is(news$.observed, false)
    const own = [0, 1, 9, 10].filter((atMs) => atMs > goesMs).length
    assert.is(clock.pending, own, `gone after ${goesMs} ms`)
  }
})

Wakes.run()
