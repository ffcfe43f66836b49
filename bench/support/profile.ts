import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const FUNCTIONS_SHOWN = 25
const PATH_PARTS_SHOWN = 3

/** The functions in which most time was spent themselves, from the newest profile of a folder. */
export const hottest = async (folder: string): Promise<string[]> => {
  const files = (await readdir(folder)).map((file) => join(folder, file))
  const ages = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs))
  const newest = files[ages.indexOf(Math.max(...ages))] as string
  const selfUs = selfTimes(JSON.parse(await readFile(newest, 'utf8')) as Profile)
  selfUs.delete('(idle)')
  const busyUs = [...selfUs.values()].reduce((sum, us) => sum + us, 0)
  return [...selfUs]
    .sort(([, a], [, b]) => b - a)
    .slice(0, FUNCTIONS_SHOWN)
    .map(([name, us]) => `  ${((100 * us) / busyUs).toFixed(1).padStart(5)} %  ${name}`)
}

const selfTimes = ({ nodes, samples, timeDeltas }: Profile): Map<string, number> => {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const selfUs = new Map<string, number>()
  samples.forEach((id, index) => {
    const name = names.get(id) ?? ''
    selfUs.set(name, (selfUs.get(name) ?? 0) + (timeDeltas[index] ?? 0))
  })
  return selfUs
}

const nameOf = ({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']) => {
  if (url === '') return functionName
  const path = url.split('/').slice(-PATH_PARTS_SHOWN).join('/')
  return `${functionName || '(anonymous)'} ${path}:${lineNumber + 1}`
}
