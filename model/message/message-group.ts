import { javaHash } from '../wire/hash.ts'

/** What a ConsumeQueue keeps of a message group: 0 for none, never 0 for one. */
export const groupHashOf = (messageGroup: string): number =>
  messageGroup === '' ? 0 : javaHash(messageGroup) || 1
