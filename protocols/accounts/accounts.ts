import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Access, Principal, Proof, Right } from '../../model/access.ts'
import { BrokerError } from '../../model/errors.ts'
import type { AccountEntry } from './accounts-file.ts'

const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern

const sign = (secret: string, text: string): Buffer =>
  createHmac('sha1', secret).update(text).digest()

/** An account with its secret, which nothing but the signature ever leaves. */
class Account implements Principal {
  readonly accessKey: string
  readonly isDisabled: boolean
  readonly #secret: string
  readonly #topics: readonly (readonly [pattern: string, rights: readonly Right[]])[]
  readonly #groups: readonly string[]
  /** Clients sign the second, so that a thousand calls have one signature. */
  #last: { readonly text: string; readonly signature: Buffer } | undefined

  constructor({ accessKey, secretKey, disabled, topics, groups }: AccountEntry) {
    this.accessKey = accessKey
    this.isDisabled = disabled
    this.#secret = secretKey
    this.#topics = Object.entries(topics)
    this.#groups = Object.entries(groups).flatMap(([pattern, rights]) =>
      rights.includes('subscribe') ? [pattern] : [],
    )
  }

  mayOnTopic(right: Right, topic: string): boolean {
    return this.#topics.some(
      ([pattern, rights]) => rights.includes(right) && matches(pattern, topic),
    )
  }

  mayAsGroup(group: string): boolean {
    return this.#groups.some((pattern) => matches(pattern, group))
  }

  signatureOf(text: string): Buffer {
    if (this.#last?.text !== text) this.#last = { text, signature: sign(this.#secret, text) }
    return this.#last.signature
  }
}

/** Compared with where there is no such account, so that both take the same time. */
const nobody = new Account({
  accessKey: '',
  secretKey: 'nobody has this secret',
  disabled: true,
  topics: {},
  groups: {},
})

/** The accounts of a file. Changing them replaces them whole, for the next call. */
export class Accounts implements Access {
  #accounts = new Map<string, Account>()

  constructor(entries: readonly AccountEntry[]) {
    this.replace(entries)
  }

  get size(): number {
    return this.#accounts.size
  }

  replace(entries: readonly AccountEntry[]): void {
    this.#accounts = new Map(entries.map((entry) => [entry.accessKey, new Account(entry)]))
  }

  verify({ accessKey, signedText, signature }: Proof): Principal {
    const account = this.#accounts.get(accessKey) ?? nobody
    const expected = account.signatureOf(signedText)
    const isRight = signature.length === expected.length && timingSafeEqual(signature, expected)
    if (!isRight || account.isDisabled)
      throw new BrokerError('ACCESS_KEY_REFUSED', {
        reason: 'there is no such key, or its secret is another',
      })
    return account
  }
}
