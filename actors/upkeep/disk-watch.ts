import { BrokerError } from '../../model/errors.ts'
import type { Logger } from '../../model/ports.ts'
import type { DiskUsage, Place } from '../../storage/ports/place.ts'
import type { DiskSettings } from '../broker/settings.ts'

export type DiskLevel = 'roomy' | 'filling' | 'full'

const MIB = 1 << 20

export interface DiskWatchDeps {
  readonly place: Place
  readonly logger: Logger
  readonly settings: DiskSettings
  /** Sends are refused with this, or taken again. */
  readonly throttle: (refusal: (() => BrokerError) | undefined) => void
}

/**
 * Looks at the disk once a round: warns early, refuses sends late, and takes them again by itself.
 */
export class DiskWatch {
  readonly #deps: DiskWatchDeps
  level: DiskLevel = 'roomy'
  /** As it was looked at last. */
  usage: DiskUsage | undefined
  refusal: (() => BrokerError) | undefined

  constructor(deps: DiskWatchDeps) {
    this.#deps = deps
  }

  async look(): Promise<void> {
    const { place, logger, throttle } = this.#deps
    this.usage = await place.diskUsage()
    const { totalBytes, freeBytes } = this.usage
    const usedPercent = Math.round((1 - freeBytes / totalBytes) * 100)
    const freeMiB = Math.floor(freeBytes / MIB)
    const level = this.#levelOf(usedPercent, freeBytes)
    if (level === this.level) return
    this.level = level
    const fields = { usedPercent, freeMiB }
    if (level === 'full') logger.error(fields, 'the disk is full: sends are refused')
    else if (level === 'filling') logger.warn(fields, 'the disk is filling up')
    else logger.info(fields, 'the disk has room again')
    this.refusal =
      level === 'full' ? () => new BrokerError('DISK_FULL', { usedPercent, freeMiB }) : undefined
    throttle(this.refusal)
  }

  #levelOf(usedPercent: number, freeBytes: number): DiskLevel {
    const { warnAtPercent, refuseAtPercent, freeBytesEnough } = this.#deps.settings
    if (freeBytes >= freeBytesEnough) return 'roomy'
    if (usedPercent >= refuseAtPercent) return 'full'
    return usedPercent >= warnAtPercent ? 'filling' : 'roomy'
  }
}
