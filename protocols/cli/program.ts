import { Command } from 'commander'
import { explainCommand } from './commands/explain.ts'
import { startCommand } from './commands/start.ts'
import type { World } from './world.ts'

/** Every command, one file each, in the order in which `--help` shows them. */
const commands: readonly ((world: World) => Command)[] = [startCommand, explainCommand]

/** The command line, ready to parse. */
export const createProgram = (world: World): Command => {
  const program = new Command('glasspost')
    .description('A RocketMQ 5 compatible broker that never loses, leaks or hides a message')
    .version(world.version)
    .showHelpAfterError()
  for (const create of commands) {
    const command = create(world)
    program.addCommand(command.copyInheritedSettings(program))
  }
  return program
}
