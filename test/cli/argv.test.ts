import { Command } from 'commander';
import { expect, it } from 'vitest';
import { commandFirst, followCommands } from '../../src/cli/argv.ts';
import { processContext } from '../../src/cli/context.ts';
import { buildProgram } from '../../src/program.ts';

const context = processContext('0.0.0', new AbortController().signal);

it.each([
  ['--embedded migrate up', 'migrate up --embedded'],
  ['migrate --embedded up', 'migrate up --embedded'],
  ['migrate up --embedded', 'migrate up --embedded'],
  ['--embedded data migrate up', 'migrate up --embedded=data'],
  ['--embedded=data migrate up', 'migrate up --embedded=data'],
  ['migrate up --embedded data', 'migrate up --embedded=data'],
  ['--embedded --json migrate up', 'migrate up --embedded --json'],
  ['--embedded ./up migrate up', 'migrate up --embedded=./up'],
  ['--table t partitions --json list', 'partitions list --table t --json'],
  ['-t t partitions list', 'partitions list -t t'],
  ['--table list partitions list', 'partitions list --table list'],
  ['--table=t partitions list', 'partitions list --table=t'],
  ['partitions ensure --months 3 -n', 'partitions ensure --months 3 -n'],
  ['-n --months 3 partitions ensure', 'partitions ensure -n --months 3'],
  ['--unknown partitions list', 'partitions list --unknown'],
  ['--url', '--url'],
  ['-- partitions list', '-- partitions list'],
  ['help partitions ensure', 'help partitions ensure'],
  ['', ''],
])('%j is read as %j', (given, read) => {
  const words = (text: string) => text.split(' ').filter((word) => word !== '');
  const argv = words(given);
  const program = buildProgram(
    context,
    argv,
    () => {},
    async () => 0,
  );
  expect(commandFirst(program, argv)).toEqual(words(read));
});

it.each([
  ['table add --x', 'add', ['--x']],
  ['t a', 'add', []],
  ['t b a', 'table', ['b', 'a']],
  ['', 'tool', []],
])('%j leads to the command %j, by names and aliases, and leaves %j', (given, name, unknown) => {
  const tool = new Command('tool');
  tool.command('table').alias('t').command('add').alias('a');
  const found = followCommands(
    tool,
    given.split(' ').filter((word) => word !== ''),
  );
  expect([found.command.name(), found.unknown]).toEqual([name, unknown]);
});
