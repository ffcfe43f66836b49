/** A byte order mark is a character like any other: an id that begins with one is echoed whole. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Text of UTF-8 bytes; short ASCII, the usual case, takes the fast way. */
export const textOf = (bytes: Uint8Array): string => {
  const size = bytes.length
  if (size > 64) return decoder.decode(bytes)
  let text = ''
  for (let index = 0; index < size; index++) {
    const code = bytes[index] as number
    if (code >= 0x80) return decoder.decode(bytes)
    text += String.fromCharCode(code)
  }
  return text
}

/** Bytes that a text takes in UTF-8. */
export const textSize = (text: string): number => Buffer.byteLength(text, 'utf8')

/** Writes UTF-8 text into place and returns the next position. */
export const putText = (bytes: Buffer, at: number, text: string): number =>
  at + bytes.write(text, at, 'utf8')
