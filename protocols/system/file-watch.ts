import { stat } from 'node:fs/promises'
import type { Clock, Logger } from '../../model/ports.ts'

export interface FileWatchOptions {
  readonly files: readonly string[]
  /** How often they are looked at; 0 leaves that to `look`. */
  readonly everyMs: number
  /** Called when a file is another one than before. A failure leaves everything as it was. */
  readonly reload: () => Promise<void>
}

/**
 * Looks at files and reloads what is made of them. Looking costs one stat each; events of the
 * file system are missed where a folder is swapped below a link, which is how secrets are mounted.
 */
export class FileWatch {
  readonly #components: { readonly clock: Clock; readonly logger: Logger }
  readonly #options: FileWatchOptions
  #seen = ''
  #cancel: () => void = () => undefined
  #looking: Promise<void> = Promise.resolve()
  #isClosed = false

  private constructor(
    components: { readonly clock: Clock; readonly logger: Logger },
    options: FileWatchOptions,
  ) {
    this.#components = components
    this.#options = options
  }

  /** Begins to watch. What is there now counts as loaded. */
  static async open(
    components: { readonly clock: Clock; readonly logger: Logger },
    options: FileWatchOptions,
  ): Promise<FileWatch> {
    const watch = new FileWatch(components, options)
    watch.#seen = await watch.#stamp()
    watch.#arm()
    return watch
  }

  /** Reloads now if anything changed, or in any case when told to. Never rejects. */
  look({ isForced = false } = {}): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookOnce(isForced))
    return this.#looking
  }

  close(): void {
    this.#isClosed = true
    this.#cancel()
  }

  async #lookOnce(isForced: boolean): Promise<void> {
    const { files, reload } = this.#options
    const { logger } = this.#components
    const stamp = await this.#stamp()
    if (this.#isClosed || (stamp === this.#seen && !isForced)) return
    this.#seen = stamp
    try {
      await reload()
      logger.info({ files }, 'reloaded')
    } catch (error) {
      const reason = (error as Error).message
      logger.error({ files, reason }, 'could not reload; what was loaded before goes on')
    }
  }

  async #stamp(): Promise<string> {
    const stamps = this.#options.files.map((file) =>
      stat(file).then(
        ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`,
        () => 'missing',
      ),
    )
    return (await Promise.all(stamps)).join()
  }

  #arm(): void {
    const { everyMs } = this.#options
    if (everyMs === 0 || this.#isClosed) return
    this.#cancel = this.#components.clock.after(everyMs, () => {
      this.look().then(
        () => this.#arm(),
        () => this.#arm(),
      )
    })
  }
}
