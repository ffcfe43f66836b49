/** What an account may do: send to a topic, or receive from a topic on behalf of a group. */
export type Right = 'publish' | 'subscribe'

/** Who calls, once that was proven. */
export interface Principal {
  readonly accessKey: string
  mayOnTopic(right: Right, topic: string): boolean
  /** Whether it may subscribe as this group. */
  mayAsGroup(group: string): boolean
}

/** What a client shows for its access key. */
export interface Proof {
  readonly accessKey: string
  /** The text that was signed. */
  readonly signedText: string
  /** HMAC-SHA1 of the text with the secret of the key. */
  readonly signature: Uint8Array
}

/** Who may do what. Without accounts there is none, and everybody may do everything. */
export interface Access {
  /** Throws `ACCESS_KEY_REFUSED`, with the same words whether the key or the secret is wrong. */
  verify(proof: Proof): Principal
}
