import { groupHashOf } from '../../model/message/message-group.ts'
import type { EncodedMessage } from '../../model/message/message.ts'
import { javaHash } from '../../model/wire/hash.ts'
import type { MessageContent } from '../../storage/codec/message-fact.ts'

/** What is stored of a message, with the hashes by which it is filtered and ordered. */
export const contentOf = (message: EncodedMessage): MessageContent => ({
  type: message.type,
  tagsCode: javaHash(message.tag),
  groupHash: groupHashOf(message.messageGroup),
  system: message.system,
  properties: message.properties,
  body: message.body,
})
