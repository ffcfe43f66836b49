import { tmpdir } from 'node:os'
import eggLogger from 'egg-logger'

export {
  ConsumeResult,
  FilterExpression,
  type MessageView,
  Producer,
  PushConsumer,
  SimpleConsumer,
} from 'rocketmq-client-nodejs'

/**
 * The official client's consume services log to a file under the home directory, whatever logger
 * they are given, and its timer keeps the process alive. Nothing else of the client is touched.
 */
process.env['HOME'] = tmpdir()
Object.assign(eggLogger.FileBufferTransport.prototype, { _createInterval: () => undefined })

export const quiet = { info() {}, warn() {}, error() {}, debug() {} }
