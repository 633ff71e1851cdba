/**
 * `claimwire`: finds the command, runs it, and turns errors into one line and an exit code: 0 success, 1 failure, 2 usage.
 *
 * Main thread. A command's module is loaded only when it runs, so that `claimwire --help` maps no database. The process itself
 * is the business of cli.ts.
 */
import { Command } from 'commander';
import { ClaimwireError } from '../src/errors.ts';
import { packageVersion } from '../src/version.ts';
import { baseCommand } from './command.ts';
import { COMMANDS } from './commands.ts';
import { complain, output, writeJson } from './output.ts';
import { didYouMean } from './suggest.ts';

/** Runs one command line, without the name of the program. Resolves to the exit code. */
export async function runProgram([name = '', ...args]: string[]): Promise<number> {
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const isHelp = ['--help', '-h', 'help'].includes(name);
  // "help node" means "node --help".
  const [word, rest] = name === 'help' && args.length > 0 ? [args[0]!, [...args.slice(1), '--help']] : [name, args];
  if (word === '' || (isHelp && word === name)) {
    (isHelp ? process.stdout : process.stderr).write(programHelp());
    return isHelp ? 0 : 2;
  }
  // A command that fails before its options are read prints as people read it.
  output.json = false;
  try {
    if (!Object.hasOwn(COMMANDS, word)) throw unknownCommand(word);
    const { command } = await COMMANDS[word]!.load();
    return await command.run(rest);
  } catch (error) {
    return report(error, args);
  }
}

function unknownCommand(word: string): ClaimwireError {
  const names = Object.keys(COMMANDS);
  const expected = `command: expected one of ${names.join(', ')}, got ${JSON.stringify(word)}`;
  return new ClaimwireError('USAGE', `${expected}${didYouMean(word, names)}`);
}

function programHelp(): string {
  const program = baseCommand('claimwire').usage('COMMAND [options] | --version');
  for (const [word, { summary }] of Object.entries(COMMANDS))
    program.addCommand(new Command(word).description(summary));
  return `${program.helpInformation()}
claimwire COMMAND --help says what it takes, with examples.

Exit code: 0 fine, 1 failed, 2 usage.
`;
}

function report(error: unknown, args: string[]): number {
  const coded = error instanceof ClaimwireError ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  const code = coded?.code ?? 'NODE_FAILED';
  if (output.json || args.includes('--json')) writeJson({ error: { ...coded?.details, code, message } });
  // A defect of this program keeps its stack, without which nobody could find it.
  const text = coded === undefined && error instanceof Error ? (error.stack ?? message) : `${message} (${code})`;
  // Lines of a stack are left whole.
  if (text.includes('\n')) process.stderr.write(`claimwire: ${text}\n`);
  else complain(`claimwire: ${text}`);
  // A wrong setting is a usage error, wherever it was found.
  return code === 'USAGE' || (code === 'CONFIG_INVALID' && coded?.details.setting !== undefined) ? 2 : 1;
}
