import { Command } from 'commander'
import type { MessageTrace, TraceStep } from '../../../model/message/trace.ts'
import { adminAction } from '../admin/action.ts'
import { path } from '../admin/client.ts'
import { type MessageJson, printable } from '../admin/messages.ts'
import { table } from '../admin/table.ts'
import { durationText, size, sizeText, timeText } from '../admin/units.ts'
import type { World } from '../world.ts'

type Trace = Omit<MessageTrace, 'message'> & { readonly message: MessageJson }

interface WhyFlags {
  readonly topic?: string
  readonly read?: number
}

/** `glasspost why` */
export const whyCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('why')
      .description('tell the life of a message: who had it, why it came again, what became of it')
      .argument('<message-id>')
      .option('--topic <topic>', 'only in this topic')
      .option('--read <size>', 'read so much of the log at most (default 256MiB)', size)
      .addHelpText('after', '\nExample: glasspost why 01A2B3C4D5E6F7089A0B1C2D3E4F506172'),
    async ({ client, show }, [messageId = ''], { topic, read: bytesMax }: WhyFlags) => {
      const answer = await client.get<{ traces: Trace[] }>(path`/v1/messages/${messageId}/why`, {
        topic,
        bytesMax,
      })
      show(answer, () => answer.traces.flatMap(traceLines))
    },
  )

const traceLines = (trace: Trace): string[] => {
  const { message, steps, tierObject, reclaimedBeforeMs, unreadBytes } = trace
  return [
    printable(`${message.topic}/${message.queueId}@${message.queueOffset}  ${message.messageId}`),
    ...(tierObject === undefined ? [] : [printable(`  it lies in the tier, in ${tierObject}`)]),
    ...(reclaimedBeforeMs === undefined
      ? []
      : [`  what happened before ${timeText(reclaimedBeforeMs)} was reclaimed in part`]),
    ...table(
      ['WHEN', 'WHAT', 'GROUP', 'ATTEMPT', 'INVISIBLE UNTIL', 'CLIENT', 'DETAIL'],
      steps.map((step) => [
        ...[whenText(step), step.what, step.group, attemptText(step)],
        step.invisibleUntilMs === undefined ? undefined : timeText(step.invisibleUntilMs),
        ...[step.clientId, step.detail],
      ]),
    ).map((line) => `  ${printable(line)}`),
    ...(unreadBytes === undefined
      ? []
      : [`  ${sizeText(unreadBytes)} of the log are not read: give a larger --read`]),
  ]
}

/** Numbers would be set to the right. */
const attemptText = ({ attempt }: TraceStep): string | undefined =>
  attempt === undefined ? undefined : `#${attempt}`

const whenText = ({ atMs, notAfterMs = atMs }: TraceStep): string =>
  notAfterMs > atMs
    ? `${timeText(atMs)} + ${durationText(notAfterMs - atMs)} at most`
    : timeText(atMs)
