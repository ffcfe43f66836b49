/** One call in the output of `strace -f -y`: the lines of its beginning and of its return. */
export interface SystemCall {
  readonly name: string
  /** What the first argument refers to: a path, or a socket. */
  readonly file: string
  readonly text: string
  readonly began: number
  readonly returned: number
}

const BEGINNING = /^(\d+) +(\w+)\((?:\d+<([^>]*)>)?(.*)$/

/** Calls in the order in which they began. One that never returned has `returned` Infinity. */
export const systemCallsOf = (trace: string): SystemCall[] => {
  const calls: { -readonly [Key in keyof SystemCall]: SystemCall[Key] }[] = []
  const open = new Map<string, (typeof calls)[number]>()
  for (const [index, line] of trace.split('\n').entries()) {
    const resumed = /^(\d+) +<\.\.\. \w+ resumed>/.exec(line)
    if (resumed) {
      const call = open.get(resumed[1] ?? '')
      if (call) call.returned = index
      continue
    }
    const [, thread = '', name = '', file = '', text = ''] = BEGINNING.exec(line) ?? []
    if (name === '') continue
    const isUnfinished = text.endsWith('<unfinished ...>')
    const call = { name, file, text, began: index, returned: isUnfinished ? Infinity : index }
    calls.push(call)
    if (isUnfinished) open.set(thread, call)
  }
  return calls
}

const isSync = ({ name }: SystemCall): boolean => name === 'fdatasync' || name === 'fsync'
const isLog = ({ file }: SystemCall): boolean => file.includes('/commit-log/')

export interface Sent {
  /** Text that is in the body and nowhere else. */
  readonly marker: string
  readonly messageId: string
}

/** What is wrong with the order of the calls for this message; undefined when nothing is. */
export const wrongOrder = (calls: readonly SystemCall[], sent: Sent): string | undefined => {
  const { marker, messageId } = sent
  const written = calls.find((call) => isLog(call) && call.text.includes(marker))
  if (written === undefined) return `${marker} was never written to the log`
  const answered = calls.find(
    ({ file, text }) => /socket|TCP/.test(file) && text.includes(messageId),
  )
  if (answered === undefined) return `${marker} was never answered`
  const isBetween = calls.some(
    (call) =>
      isSync(call) &&
      call.file === written.file &&
      call.began > written.returned &&
      call.returned < answered.began,
  )
  return isBetween ? undefined : `${marker} was answered before its sync returned`
}
