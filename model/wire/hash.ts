/** Java's `String.hashCode`, RocketMQ's tag code, as an unsigned 32-bit number; 0 for no text. */
export const javaHash = (text: string): number => {
  let hash = 0
  for (let index = 0; index < text.length; index++)
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  return hash >>> 0
}

/** FNV-1a with a final mix, 32 bits; used where names are spread over queues. */
export const spreadHash = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  return hash >>> 0
}
