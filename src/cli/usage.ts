import type { Command, CommanderError } from 'commander';
import { maskSecrets } from '../db/secrets.ts';
import { type SensordbError, usageError } from './errors.ts';

/** Gives the words of a command without the program's name: `partitions ensure`. */
export function commandName(command: Command | null): string {
  const names: string[] = [];
  for (let current: Command | null = command; current?.parent != null; current = current.parent) {
    names.unshift(current.name());
  }
  return names.join(' ');
}

/** Turns what commander says of the arguments into an error for the user; `command` is how far they were understood. */
export function explainUsage(thrown: CommanderError, command: Command | null): SensordbError {
  const name = commandName(command);
  const see = `See sensordb ${name === '' ? '' : `${name} `}--help.`;
  if (thrown.code === 'commander.help') {
    const choice = (command?.commands ?? []).map((child) => child.name()).join(', ');
    const message = name === '' ? 'No command was given.' : `sensordb ${name} needs a subcommand.`;
    return usageError('missing_command', message, { hint: `Give one of: ${choice}. ${see}` });
  }
  // commander's texts start with "error: ", end with or without a full stop, and put the suggestion on a line of its own.
  const [said = '', suggestion] = thrown.message.replace(/^error: /, '').split('\n');
  const message = maskSecrets(`${said.charAt(0).toUpperCase()}${said.slice(1).replace(/\.$/, '')}.`);
  return usageError('usage', message, { hint: suggestion?.replace(/^\(|\)$/g, '') ?? see });
}
