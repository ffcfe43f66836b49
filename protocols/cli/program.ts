import { Command } from 'commander'
import { configCommand } from './commands/config.ts'
import { explainCommand } from './commands/explain.ts'
import { startCommand } from './commands/start.ts'
import type { World } from './world.ts'

/** Every command, one file each, in the order in which `--help` shows them. */
const commands: readonly ((world: World) => Command)[] = [
  startCommand,
  configCommand,
  explainCommand,
]

const OPTIONS_SHOWN_MAX = 30

/** The command line, ready to parse. */
export const createProgram = (world: World): Command => {
  const program = new Command('glasspost')
    .description('A RocketMQ 5 compatible broker that never loses, leaks or hides a message')
    .version(world.version)
    .showHelpAfterError()
    // The library would add false defaults, which say nothing.
    .configureHelp({ optionDescription: ({ description }) => description })
  for (const create of commands) {
    const command = create(world).copyInheritedSettings(program)
    // A long help would hide the error above it.
    if (command.options.length > OPTIONS_SHOWN_MAX)
      command.showHelpAfterError(`\nglasspost ${command.name()} --help lists every flag.`)
    program.addCommand(command)
  }
  return program
}
