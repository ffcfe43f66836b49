import { InvalidArgumentError } from 'commander'

/** For an option `NAME=VALUE` that may be repeated. */
export const property = (
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> => {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Give NAME=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
