import { access, constants, readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import type { Check, Examination } from '../../model/doctor.ts'
import { isBrokerError } from '../../model/errors.ts'
import { isNewDataDir, readSecret, LOCK_DIRECTORY } from './data-format.ts'
import { causeWithCode } from './level-errors.ts'
import { BALLAST_FILE } from './level-place.ts'

const MIB = 1024 * 1024
/** File times may be rounded, and clocks of file servers differ a little. */
const AHEAD_MS_MAX = 2_000
/** No clock that was ever set shows an earlier time: 2024-01-01. */
const SET_MS_MIN = 1_704_067_200_000
const PERCENT = 100
const INODES_USED_MAX = 0.95

export interface ExamineOptions {
  readonly dataDir: string
  readonly nowMs: number
  readonly disk: {
    readonly warnAtPercent: number
    readonly refuseAtPercent: number
    readonly freeBytesEnough: number
  }
}

/** Looks at a data directory from outside. Opens nothing but its lock, and changes nothing. */
export const examineDataDir = async (options: ExamineOptions): Promise<Examination> => {
  const { dataDir, nowMs } = options
  const found = await stat(dataDir).catch(() => undefined)
  if (!found?.isDirectory()) {
    const says = found ? `${dataDir} is not a directory` : `${dataDir} does not exist`
    const remedy = found ? 'Name another with --data-dir.' : 'The first start makes it.'
    const state = found ? 'fault' : 'warning'
    return {
      checks: [{ name: 'directory', state, says, remedy }],
      isInUse: false,
      isReadable: false,
    }
  }
  const format = await formatCheck(dataDir)
  const isReadable = format.state === 'ok'
  const isInUse = isReadable && (await isLocked(dataDir))
  const checks = [
    await rightsCheck(dataDir),
    format,
    ...(isReadable ? await secretChecks(dataDir) : []),
    lockCheck(isInUse),
    ...(isReadable ? [await ballastCheck(dataDir, isInUse)] : []),
    ...(await diskChecks(options)),
    await clockCheck(dataDir, nowMs),
  ]
  return { checks, isInUse, isReadable: isReadable && !isInUse }
}

/** The directory, what is in it, and what is in the databases. */
const filesOf = async (dataDir: string): Promise<string[]> =>
  (await readdir(dataDir, { recursive: true })).map((name) => join(dataDir, name))

const rightsCheck = async (dataDir: string): Promise<Check> => {
  const name = 'directory'
  const files = await filesOf(dataDir)
  const rights = constants.R_OK | constants.W_OK
  for (const path of [dataDir, ...files]) {
    const isAllowed = await access(path, rights).then(
      () => true,
      // A running broker makes and removes files all the time.
      (error: unknown) => causeWithCode(error, 'ENOENT') !== undefined,
    )
    if (!isAllowed)
      return {
        ...{ name, state: 'fault', says: `${path} may not be read and written by this user` },
        remedy: 'Run as the user who owns it, or give it to this one with chown.',
      }
  }
  return { name, state: 'ok', says: `${dataDir}: ${files.length} files, all may be used` }
}

const formatCheck = async (dataDir: string): Promise<Check> => {
  const name = 'format'
  try {
    if (!(await isNewDataDir(dataDir))) return { name, state: 'ok', says: 'format 1' }
    return {
      name,
      state: 'warning',
      says: 'there is no data yet',
      remedy: 'The first start makes it.',
    }
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return { name, state: 'fault', says: error.message, remedy: error.remedy }
  }
}

const secretChecks = async (dataDir: string): Promise<Check[]> => {
  const name = 'directory'
  try {
    await readSecret(dataDir)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    const remedy = 'Put the file secret back from a copy; without it no receipt handle is known.'
    return [{ name, state: 'fault', says: error.message, remedy }]
  }
  const path = join(dataDir, 'secret')
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return []
  const says = `${path} may be read by others: they could forge receipt handles`
  return [{ name, state: 'warning', says, remedy: `chmod 600 ${path}` }]
}

const isLocked = async (dataDir: string): Promise<boolean> => {
  const location = join(dataDir, LOCK_DIRECTORY)
  if (!(await stat(location).catch(() => undefined))) return false
  const lock = new Level(location, { createIfMissing: false })
  try {
    await lock.open()
    await lock.close()
    return false
  } catch (error) {
    return causeWithCode(error, 'LEVEL_LOCKED') !== undefined
  }
}

const lockCheck = (isInUse: boolean): Check => ({
  name: 'lock',
  state: 'ok',
  says: isInUse ? 'a running broker is using the directory' : 'no broker is using the directory',
})

const ballastCheck = async (dataDir: string, isInUse: boolean): Promise<Check> => {
  const name = 'ballast'
  const file = await stat(join(dataDir, BALLAST_FILE)).catch(() => undefined)
  if (file && file.size > 0)
    return {
      name,
      state: 'ok',
      says: `${Math.round(file.size / MIB)} MiB kept back for a full disk`,
    }
  return {
    ...{ name, state: 'warning' },
    ...(isInUse
      ? {
          says: 'the reserve for a full disk was used up',
          remedy: 'Free some space: the broker takes the reserve again by itself.',
        }
      : {
          says: 'there is no reserve for a full disk: used up, or never started here',
          remedy: 'The next start takes it where the disk has room.',
        }),
  }
}

const diskChecks = async ({ dataDir, disk }: ExamineOptions): Promise<Check[]> => {
  const name = 'disk'
  const { blocks, bavail, bsize, files, ffree } = await statfs(dataDir)
  const usedPercent = Math.round((1 - bavail / blocks) * PERCENT)
  const freeBytes = bavail * bsize
  const says = `${usedPercent} % used, ${Math.floor(freeBytes / MIB).toLocaleString('en-US')} MiB free`
  const remedy =
    'Free space, shorten retention or delete topics; nothing of the data directory by hand.'
  const checks: Check[] = []
  if (freeBytes >= disk.freeBytesEnough || usedPercent < disk.warnAtPercent)
    checks.push({ name, state: 'ok', says })
  else if (usedPercent < disk.refuseAtPercent) checks.push({ name, state: 'warning', says, remedy })
  else checks.push({ name, state: 'fault', says: `${says}: sends are refused`, remedy })
  if (files > 0 && 1 - ffree / files > INODES_USED_MAX)
    checks.push({ name, state: 'warning', says: `only ${ffree} more files fit`, remedy })
  return checks
}

/** What was written may not be younger than now. */
const clockCheck = async (dataDir: string, nowMs: number): Promise<Check> => {
  const name = 'clock'
  const shown = new Date(nowMs).toISOString()
  if (nowMs < SET_MS_MIN)
    return { name, state: 'fault', says: `the clock shows ${shown}`, remedy: 'Set the clock.' }
  let newest = { path: dataDir, mtimeMs: 0 }
  for (const path of await filesOf(dataDir)) {
    const file = await stat(path).catch(() => undefined)
    if (file && file.mtimeMs > newest.mtimeMs) newest = { path, mtimeMs: file.mtimeMs }
  }
  const aheadMs = Math.round(newest.mtimeMs - nowMs)
  if (aheadMs <= AHEAD_MS_MAX) return { name, state: 'ok', says: `${shown}, behind nothing stored` }
  return {
    ...{ name, state: 'fault' },
    says: `${newest.path} was written ${aheadMs} ms from now: the clock was set back`,
    remedy: 'Set the clock. Until it has caught up, retention and user timers wait for it.',
  }
}
