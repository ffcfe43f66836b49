import { InvalidArgumentError } from 'commander'

const PORT_MAX = 65_535

/** A port on the command line. */
export const port = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > PORT_MAX)
    throw new InvalidArgumentError(`Give a port from 0 (any free one) to ${PORT_MAX}.`)
  return value
}
