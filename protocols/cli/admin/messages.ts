import type { World } from '../world.ts'
import { timeText } from './units.ts'

/** A message as the HTTP door gives it. */
export interface MessageJson {
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly messageId: string
  readonly tag?: string
  readonly keys?: readonly string[]
  readonly messageGroup?: string
  readonly properties: Readonly<Record<string, string>>
  readonly storeAtMs: number
  readonly body?: string
  readonly bodyBase64?: string
  readonly attempt?: number
  readonly cause?: string
  readonly receiptHandle?: string
}

/** What a terminal would obey is shown, not sent: all of Unicode's control characters but two. */
export const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (sign) =>
    sign === '\t' || sign === '\n'
      ? sign
      : `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )

/** A head of where, when and what, and the body below it. */
const messageLines = (message: MessageJson): string[] => {
  const { topic, queueId, queueOffset, messageId, storeAtMs, properties } = message
  const { tag, keys = [], messageGroup, attempt = 1, cause } = message
  const marks = [
    ...(tag === undefined ? [] : [`tag=${tag}`]),
    ...(keys.length === 0 ? [] : [`keys=${keys.join(',')}`]),
    ...(messageGroup === undefined ? [] : [`group=${messageGroup}`]),
    ...Object.entries(properties).map(([name, value]) => `${name}=${value}`),
    ...(attempt === 1 ? [] : [`attempt ${attempt}: ${cause}`]),
  ]
  const head = [`${topic}/${queueId}@${queueOffset}`, timeText(storeAtMs), messageId, ...marks]
  const body = message.body ?? `(base64) ${message.bodyBase64 ?? ''}`
  return [
    printable(head.join('  ')),
    ...printable(body)
      .split('\n')
      .map((line) => `  ${line}`),
  ]
}

/** One JSON object a line, or lines for people. */
export const printMessage = (world: World, message: MessageJson, isJson: boolean): void => {
  if (isJson) world.print(JSON.stringify(message))
  else for (const line of messageLines(message)) world.print(line)
}
