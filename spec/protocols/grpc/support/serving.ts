import { type Admission, serveReceive, unaryMethods } from '../../../../protocols/grpc/methods.ts'
import type { CallContext } from '../../../../protocols/grpc/context.ts'
import { bytesOf, service } from './official.ts'

/** Calls without sockets: official requests in, official responses out. */

interface Message {
  serializeBinary(): Uint8Array
}

export const serve = async <Response>(
  rpc: string,
  context: CallContext,
  request: Message,
  response: { deserializeBinary(bytes: Uint8Array): Response },
  admission: Admission = 'admitted',
): Promise<Response> => {
  const method = unaryMethods[rpc]
  if (method === undefined) throw new Error(`there is no ${rpc}`)
  return response.deserializeBinary(await method(context, bytesOf(request), admission))
}

/** Code of the status that every response has as its first field. */
export const codeOf = async (
  rpc: string,
  context: CallContext,
  request: Message,
): Promise<number> =>
  (await serve(rpc, context, request, service.HeartbeatResponse)).getStatus()?.getCode() ?? 0

/** What a receive streams: of statuses the text, of messages the message. */
export const receive = async (context: CallContext, request: Message) => {
  const { frames, giveBack } = await serveReceive(context, bytesOf(request), 'admitted')
  const responses = frames.map((frame) => service.ReceiveMessageResponse.deserializeBinary(frame))
  const messages = responses.flatMap((response) => response.getMessage() ?? [])
  const [first] = responses
  return {
    code: first?.getStatus()?.getCode() ?? 0,
    text: first?.getStatus()?.getMessage() ?? '',
    kinds: responses.map((response) =>
      response.hasStatus() ? 'status' : response.hasMessage() ? 'message' : 'time',
    ),
    messages,
    handles: messages.map((message) => message.getSystemProperties()?.getReceiptHandle() ?? ''),
    giveBack,
    bytes: Buffer.concat(frames),
  }
}
