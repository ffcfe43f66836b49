import { createHmac, timingSafeEqual } from 'node:crypto'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import { BrokerError } from '../../model/errors.ts'
import { Cursor, putVarint } from '../../model/wire/varint.ts'

/** Handles of version 1 lack the number of resets, which is 0. */
const VERSION = 2
const MAC_BYTES = 10
const FIELDS_BYTES_MAX = 64

const refuse = (reason: string, cause?: unknown) =>
  new BrokerError('RECEIPT_HANDLE_INVALID', { reason }, { cause })

/**
 * Text form of receipt handles: base64url of a version, the fields as varints and a truncated
 * HMAC-SHA256 over both. The key is the data directory's secret, so a handle outlives a restart
 * and means nothing to any other broker.
 */
export class HandleSeal {
  readonly #secret: Uint8Array

  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  seal(handle: ReceiptHandle): string {
    const bytes = Buffer.allocUnsafe(FIELDS_BYTES_MAX + MAC_BYTES)
    bytes[0] = VERSION
    let at = putVarint(bytes, 1, handle.topicId)
    at = putVarint(bytes, at, handle.groupId)
    at = putVarint(bytes, at, handle.queueId)
    at = putVarint(bytes, at, handle.queueOffset)
    at = putVarint(bytes, at, handle.attempt)
    at = putVarint(bytes, at, handle.generation)
    at = putVarint(bytes, at, handle.invisibleUntilMs)
    at = putVarint(bytes, at, handle.epoch)
    at = putVarint(bytes, at, handle.resets)
    this.#mac(bytes.subarray(0, at)).copy(bytes, at, 0, MAC_BYTES)
    return bytes.toString('base64url', 0, at + MAC_BYTES)
  }

  open(text: string): ReceiptHandle {
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.length <= MAC_BYTES || bytes.toString('base64url') !== text)
      throw refuse('it is not a handle of this broker')
    const fields = bytes.subarray(0, bytes.length - MAC_BYTES)
    const mac = this.#mac(fields).subarray(0, MAC_BYTES)
    if (!timingSafeEqual(mac, bytes.subarray(fields.length)))
      throw refuse('its seal does not match')
    const version = fields[0] as number
    if (version < 1 || version > VERSION) throw refuse('its version is unknown')
    return readFields(fields, version)
  }

  #mac(fields: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(fields).digest()
  }
}

const readFields = (fields: Buffer, version: number): ReceiptHandle => {
  const cursor = new Cursor(fields, 1)
  try {
    return {
      topicId: cursor.varint(),
      groupId: cursor.varint(),
      queueId: cursor.varint(),
      queueOffset: cursor.varint(),
      attempt: cursor.varint(),
      generation: cursor.varint(),
      invisibleUntilMs: cursor.varint(),
      epoch: cursor.varint(),
      resets: version === 1 ? 0 : cursor.varint(),
    }
  } catch (cause) {
    throw refuse('its fields do not read', cause)
  }
}
