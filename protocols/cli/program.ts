import { Command } from 'commander'
import { withAdminOptions } from './admin/action.ts'
import { ackCommand } from './commands/ack.ts'
import { auditCommand } from './commands/audit.ts'
import { backupCommand } from './commands/backup.ts'
import { benchCommand } from './commands/bench.ts'
import { configCommand } from './commands/config.ts'
import { doctorCommand } from './commands/doctor.ts'
import { dlqCommand } from './commands/dlq.ts'
import { explainCommand } from './commands/explain.ts'
import { findCommand, showCommand } from './commands/find.ts'
import { groupCommand } from './commands/group.ts'
import { peekCommand } from './commands/peek.ts'
import { receiveCommand } from './commands/receive.ts'
import { restoreCommand } from './commands/restore.ts'
import { scheduleCommand } from './commands/schedule.ts'
import { sendCommand } from './commands/send.ts'
import { startCommand } from './commands/start.ts'
import { statusCommand } from './commands/status.ts'
import { tailCommand } from './commands/tail.ts'
import { tierCommand } from './commands/tier.ts'
import { timerCommand } from './commands/timer.ts'
import { topicCommand } from './commands/topic.ts'
import { transactionCommand } from './commands/transaction.ts'
import { whyCommand } from './commands/why.ts'
import { exitCodes, exitCodesHelp } from './exit-codes.ts'
import type { World } from './world.ts'

/** Every command, one file each, in the order in which `--help` shows them. */
const commands: readonly ((world: World) => Command)[] = [
  startCommand,
  statusCommand,
  topicCommand,
  groupCommand,
  sendCommand,
  receiveCommand,
  ackCommand,
  peekCommand,
  tailCommand,
  findCommand,
  showCommand,
  whyCommand,
  dlqCommand,
  timerCommand,
  transactionCommand,
  scheduleCommand,
  tierCommand,
  auditCommand,
  doctorCommand,
  backupCommand,
  restoreCommand,
  benchCommand,
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
    // So that start keeps a --json of its own.
    .enablePositionalOptions()
    .exitOverride(({ exitCode }) => world.exit(exitCode === 0 ? exitCodes.ok : exitCodes.usage))
    .addHelpText('after', exitCodesHelp)
  withAdminOptions(program)
  for (const create of commands) {
    const command = create(world)
    inherit(command, program)
    // A long help would hide the error above it.
    if (command.options.length > OPTIONS_SHOWN_MAX)
      command.showHelpAfterError(`\nglasspost ${command.name()} --help lists every flag.`)
    program.addCommand(command)
  }
  return program
}

/** Help and exit codes are one for all, also for commands within commands. */
const inherit = (command: Command, parent: Command): void => {
  command.copyInheritedSettings(parent)
  for (const child of command.commands) inherit(child, command)
}
