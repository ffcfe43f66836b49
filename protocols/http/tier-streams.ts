import { isBrokerError } from '../../model/errors.ts'
import type { TierStep } from '../../model/tier/tier-admin.ts'
import type { TierLine } from '../../model/tier/tier-lines.ts'

const lineOf = (line: TierLine): Uint8Array => Buffer.from(`${JSON.stringify(line)}\n`)

/**
 * Steps as lines. A refusal before the first one is thrown, so that it is the answer; a later one
 * is the last line.
 */
export const linesOf = (begin: () => AsyncIterable<TierStep>): AsyncGenerator<Uint8Array> =>
  partsOf(begin, (step) => [lineOf({ type: 'step', ...step })])

type Fetched = TierStep & { readonly content: Uint8Array }

/** The same, each followed by so many bytes as it says. */
export const framesOf = (begin: () => AsyncIterable<Fetched>): AsyncGenerator<Uint8Array> =>
  partsOf(begin, ({ content, ...step }) => [
    lineOf({ type: 'step', ...step, bytes: content.length }),
    content,
  ])

async function* partsOf<Step extends TierStep>(
  begin: () => AsyncIterable<Step>,
  partsOfStep: (step: Step) => readonly Uint8Array[],
): AsyncGenerator<Uint8Array> {
  const told = { objects: 0, bytes: 0, problems: 0 }
  let hasBegun = false
  try {
    for await (const step of begin()) {
      hasBegun = true
      // Of what never became an object, or is one no more, only the problem counts.
      if (step.bytes > 0) told.objects++
      told.bytes += step.bytes
      if (step.problem !== undefined) told.problems++
      yield* partsOfStep(step)
    }
  } catch (error) {
    if (!hasBegun || !isBrokerError(error)) throw error
    const { code, kind, message, remedy } = error
    yield lineOf({ type: 'failed', code, kind, message, remedy })
    return
  }
  yield lineOf({ type: 'done', ...told })
}
