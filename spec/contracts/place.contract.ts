import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../model/errors.ts'
import { databaseNames, type Place } from '../../storage/ports/place.ts'

/** Somewhere for a place, empty at first. It is opened again only after it was closed. */
export interface PlaceSetting {
  openPlace(): Promise<Place>
  discard(): Promise<void>
}

const key = Uint8Array.of(1)
const plain = (value: Uint8Array | undefined): string | undefined =>
  value && Buffer.from(value).toString()

const isRefused = async (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => false,
    (error: unknown) => isBrokerError(error, 'STORE_UNAVAILABLE'),
  )

/** Every adapter of `Place` runs this; `aSetting` makes an empty one each time. */
export const placeContract = (adapter: string, aSetting: () => Promise<PlaceSetting>): void => {
  const Contract = suite(`Place contract: ${adapter}`)

  const within = async (work: (open: () => Promise<Place>) => Promise<void>): Promise<void> => {
    const setting = await aSetting()
    const opened: Place[] = []
    try {
      await work(async () => {
        const place = await setting.openPlace()
        opened.push(place)
        return place
      })
    } finally {
      for (const place of opened) await place.close()
      await setting.discard()
    }
  }

  Contract('keeps each database apart, across reopenings of the database and of the place', () =>
    within(async (open) => {
      const first = await open()
      for (const name of databaseNames) {
        const database = await first.openDatabase(name)
        await database.write([{ type: 'put', key, value: Buffer.from(name) }], { sync: true })
        await database.close()
      }
      for (const place of [first, null]) {
        const reopened = place ?? (await open())
        for (const name of databaseNames) {
          const database = await reopened.openDatabase(name)
          assert.is(plain(await database.get(key)), name)
          await database.close()
        }
        await reopened.close()
      }
    }),
  )

  Contract('opens a database once at a time', () =>
    within(async (open) => {
      const place = await open()
      const [opening, again] = [place.openDatabase('index'), place.openDatabase('index')]
      assert.ok(await isRefused(again))
      const database = await opening
      assert.ok(await isRefused(place.openDatabase('index')))
      await (await place.openDatabase('commit-log')).close()
      await database.close()
      await (await place.openDatabase('index')).close()
    }),
  )

  Contract('closes what is still open in it, twice if need be', () =>
    within(async (open) => {
      const place = await open()
      const database = await place.openDatabase('index')
      assert.ok(await isRefused(place.openDatabase('index')))
      const writing = database.write([{ type: 'put', key, value: key }], { sync: true })
      const closing = [place.close(), place.close()]
      await Promise.all([writing, ...closing])
      assert.ok(await isRefused(database.get(key)))
      await place.close()
    }),
  )

  Contract('has a secret of 32 bytes that stays and is nobody else’s', () =>
    within(async (open) => {
      const first = await open()
      const secret = Buffer.from(first.secret).toString('hex')
      await first.close()
      const again = await open()
      assert.is(Buffer.from(again.secret).toString('hex'), secret)
      assert.is(again.secret.length, 32)
      await within(async (openOther) => {
        assert.is.not(Buffer.from((await openOther()).secret).toString('hex'), secret)
      })
    }),
  )

  Contract('says how full its disk is', () =>
    within(async (open) => {
      const { totalBytes, freeBytes } = await (await open()).diskUsage()
      assert.ok(0 <= freeBytes && freeBytes <= totalBytes && 0 < totalBytes)
    }),
  )

  Contract('releases and restores its ballast in any order', () =>
    within(async (open) => {
      const { ballast } = await open()
      await ballast.release()
      assert.ok(await ballast.restore())
      assert.ok(await ballast.restore())
      await ballast.release()
      await ballast.release()
      assert.ok(await ballast.restore())
    }),
  )

  Contract.run()
}
