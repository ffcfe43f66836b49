import { Presets, SingleBar } from 'cli-progress'
import type { CopyProgress } from '../../model/backup.ts'
import { sizeText } from './admin/units.ts'

export interface Progress {
  readonly update: (progress: CopyProgress) => void
  /** Leaves the last line where it is; without it the terminal is not given back. */
  readonly stop: () => void
}

/** A bar on stderr while somebody watches a terminal; nothing elsewhere. Of bytes unless told. */
export const progressBar = (title: string, textOf = sizeText): Progress => {
  const format = `${title} {bar} {percentage} %  {size}  {eta_formatted} to go`
  const bar = new SingleBar({ format, hideCursor: true, etaBuffer: 100 }, Presets.shades_classic)
  let isStarted = false
  return {
    update: ({ done, of }) => {
      const size = `${textOf(done)} of ${textOf(of)}`
      if (!isStarted) bar.start(Math.max(1, of), done, { size })
      isStarted = true
      bar.update(of === 0 ? 1 : done, { size })
    },
    stop: () => bar.stop(),
  }
}
