import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Random } from '../../model/ports.ts'
import { sleep } from './waiting.ts'

/** Numbers and choices from one source of bytes, so that a seed repeats a run. */
export class Dice {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  below(max: number): number {
    return Buffer.from(this.#random.bytes(4)).readUInt32LE() % max
  }

  bytes(sizeMax: number): Buffer {
    return Buffer.from(this.#random.bytes(this.below(sizeMax + 1)))
  }

  pick<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[this.below(values.length)] ?? values[0]
  }
}

/** Bytes changed, cut out, put in, doubled or cut off, in a few places. */
export const damaged = (dice: Dice, sound: Buffer): Buffer => {
  let bytes = Buffer.from(sound)
  for (let left = 1 + dice.below(4); left > 0; left--) {
    const at = dice.below(bytes.length + 1)
    const until = Math.min(bytes.length, at + dice.below(16))
    const [before, piece, after] = [
      bytes.subarray(0, at),
      bytes.subarray(at, until),
      bytes.subarray(until),
    ]
    const change = dice.pick<() => Buffer[]>([
      () => [before, Buffer.from(piece.map((byte) => byte ^ (1 << dice.below(8)))), after],
      () => [before, after],
      () => [before, dice.bytes(16), piece, after],
      () => [before, piece, piece, after],
      () => [before],
    ])
    bytes = Buffer.concat(change())
  }
  return bytes
}

/** What `converse` sends to a port, recorded on the way to the real one. */
export const recorded = async (
  port: number,
  converse: (port: number) => Promise<void>,
): Promise<Buffer> => {
  const sent: Buffer[] = []
  const relay = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    for (const socket of [client, server]) socket.on('error', () => undefined)
    client.on('data', (bytes) => void sent.push(Buffer.from(bytes)))
    client.pipe(server).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  await converse((relay.address() as AddressInfo).port)
  relay.close()
  return Buffer.concat(sent)
}

/** Sends these bytes in one piece or two, reads whatever comes, and leaves in some way. */
export const attack = async (dice: Dice, port: number, bytes: Buffer): Promise<void> => {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  socket.resume()
  const cut = dice.below(3) === 0 ? dice.below(bytes.length + 1) : bytes.length
  socket.write(bytes.subarray(0, cut))
  await sleep(dice.below(4))
  if (!socket.destroyed) socket.write(bytes.subarray(cut))
  await sleep(dice.below(10))
  dice.pick([() => socket.destroy(), () => socket.end(), () => socket.resetAndDestroy()])()
  await Promise.race([closed, sleep(50)])
  socket.destroy()
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes that are still reachable, after a few turns for what is on its way out. */
export const bytesInUse = async (): Promise<number> => {
  for (let round = 0; round < 5; round++) {
    await sleep(20)
    collect()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
