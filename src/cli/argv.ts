import type { Command, Option } from 'commander';

/**
 * Puts the words of the command first, so that every option is accepted before and after the subcommand:
 * `--table t partitions --json list` becomes `partitions list --table t --json`.
 *
 * An option whose value is optional takes the next word, unless that is the command that is still missing.
 */
export function commandFirst(program: Command, argv: readonly string[]): readonly string[] {
  const options = collectOptions(program);
  const path: string[] = [];
  const rest: string[] = [];
  let command = program;
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] as string;
    if (word === '--') return [...path, ...rest, ...argv.slice(at)];
    const option = options.get(word);
    const next = argv[at + 1];
    const subcommand = findSubcommand(command, word);
    if (word.startsWith('-')) {
      rest.push(word);
      if (option === undefined || next === undefined) continue;
      if (option.required) rest.push(argv[++at] as string);
      else if (option.optional && !next.startsWith('-') && findSubcommand(command, next) === undefined) {
        rest[rest.length - 1] = `${word}=${next}`;
        at += 1;
      }
    } else if (subcommand !== undefined) {
      path.push(word);
      command = subcommand;
    } else {
      rest.push(word);
    }
  }
  return [...path, ...rest];
}

/** Reads the value of a long option off words that were perhaps not parsed: the last one counts, as it does for commander. */
export function optionValue(argv: readonly string[], option: string): string | undefined {
  let value: string | undefined;
  for (const [at, word] of argv.entries()) {
    if (word === '--') break;
    if (word === option) value = argv[at + 1];
    else if (word.startsWith(`${option}=`)) value = word.slice(option.length + 1);
  }
  return value;
}

/** Follows words down the tree of commands, by name or alias, as far as they lead; `unknown` is what is left. */
export function followCommands(
  program: Command,
  words: readonly string[],
): { readonly command: Command; readonly unknown: readonly string[] } {
  let command = program;
  for (const [at, word] of words.entries()) {
    const next = findSubcommand(command, word);
    if (next === undefined) return { command, unknown: words.slice(at) };
    command = next;
  }
  return { command, unknown: [] };
}

function findSubcommand(command: Command, name: string): Command | undefined {
  return command.commands.find((child) => child.name() === name || child.aliases().includes(name));
}

function collectOptions(command: Command): ReadonlyMap<string, Option> {
  const found = new Map<string, Option>();
  const visit = (current: Command): void => {
    for (const option of current.options) {
      if (option.long) found.set(option.long, option);
      if (option.short) found.set(option.short, option);
    }
    current.commands.forEach(visit);
  };
  visit(command);
  return found;
}
