import { fromCallback, fromPromise, type AnyEventObject } from 'xstate'

/**
 * Stands in for an effect that a machine names and an actor performs. Forgetting to provide
 * it is a loud, named failure at the first invocation rather than a silent no-op.
 */
export const unprovided = <Output, Input = void>(name: string) =>
  fromPromise<Output, Input>(async () => {
    throw new Error(`actor '${name}' was not provided`)
  })

/** The same for a loop that runs as long as its state and sends events back. */
export const unprovidedLoop = (name: string) =>
  fromCallback<AnyEventObject>(() => {
    throw new Error(`actor '${name}' was not provided`)
  })
