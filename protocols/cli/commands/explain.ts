import { Command, InvalidArgumentError } from 'commander'
import { type BrokerErrorCode, errorCodes, explain } from '../../../model/errors.ts'
import type { World } from '../world.ts'

const knownCode = (text: string): BrokerErrorCode => {
  const known = errorCodes.find((name) => name === text.toUpperCase())
  if (known === undefined) throw new InvalidArgumentError(`Codes are: ${errorCodes.join(', ')}`)
  return known
}

/** `glasspost explain CODE` */
export const explainCommand = (world: World): Command =>
  new Command('explain')
    .description('what an error code means, and what to do')
    .argument('<code>', 'such as TOPIC_NOT_FOUND', knownCode)
    .action((code: BrokerErrorCode) => {
      const { kind, remedy } = explain(code)
      world.print(`${code} (${kind})\n  ${remedy}`)
    })
