import { Command } from 'commander'
import type { World } from '../world.ts'
import { adminAction } from './action.ts'
import { path } from './client.ts'

/** `pause NAME` or `resume NAME` of a topic or group, which have it as a setting. */
export const pausing = (
  world: World,
  noun: 'topic' | 'group',
  verb: 'pause' | 'resume',
  description: string,
): Command =>
  adminAction(
    world,
    new Command(verb).description(description).argument('<name>'),
    async ({ client, show }, [name = '']) => {
      const changed = await client.patch<object>(path`/v1/${`${noun}s`}/${name}`, {
        paused: verb === 'pause',
      })
      show(changed, () => [`${verb}d ${noun} ${name}`])
    },
  )
