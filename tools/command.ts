/**
 * Commands: what each declares, its help, and how its command line becomes a call. Commander parses and formats; every fault
 * becomes a ClaimwireError USAGE in one line, for which the program exits with code 2.
 */
import { Command, CommanderError, Option } from 'commander';
import { usage } from './args.ts';
import { addOptions, COMMON_GROUP, COMMON_OPTIONS, type OptionSpecs, readValues, type Values } from './options.ts';
import { output, paragraphs } from './output.ts';
import { didYouMean } from './suggest.ts';

/** Wider lines are hard to read, however wide the terminal is. */
const HELP_COLUMNS_MAX = 100;
const HELP_COLUMNS_DEFAULT = 80;

export interface Operands {
  /** Its name in help: ID, FILE.ndjson, HEX|FILE.pcap|-. */
  name: string;
  /** `some`: one or more. `any`: the command checks the number itself. */
  count: 'one' | 'some' | 'any';
}

export interface CommandSpec<Specs extends OptionSpecs> {
  /** Includes the group's name: "channel open". */
  name: string;
  /** One line, for the list of commands. */
  summary: string;
  /** More text, above its options. */
  description?: string;
  operands?: Operands;
  options: Specs;
  /** Command lines to copy, and what each does. */
  examples: readonly (readonly [line: string, what: string])[];
  /** Text below its options, such as formats and exit codes. */
  notes: string;
  /** Resolves to the exit code. */
  act(values: Values<Specs & typeof COMMON_OPTIONS>, operands: string[]): Promise<number>;
}

/** A command with any options, as cli.ts runs it and completion.ts lists it. */
export interface RunnableCommand {
  name: string;
  summary: string;
  options: OptionSpecs;
  operands?: Operands;
  run(args: string[]): Promise<number>;
}

/** Commands whose first word is the same. */
export interface CommandGroup {
  name: string;
  commands: Readonly<Record<string, RunnableCommand>>;
  run(args: string[]): Promise<number>;
}

export function defineCommand<const Specs extends OptionSpecs>(spec: CommandSpec<Specs>): RunnableCommand {
  const options = { ...spec.options, ...COMMON_OPTIONS };
  return {
    name: spec.name,
    summary: spec.summary,
    options,
    ...(spec.operands && { operands: spec.operands }),
    run: async (args) => {
      const command = commanderOf(spec, options);
      if (!parse(command, args, options)) return 0;
      // Set first, so that an error in another value is printed in the same form.
      output.json = readValues(command, { json: options.json, config: options.config }, options).json;
      const values = readValues(command, options);
      checkOperands(spec, command.args);
      return spec.act(values as Values<Specs & typeof COMMON_OPTIONS>, command.args);
    },
  };
}

export function defineGroup(
  group: Omit<CommandGroup, 'run' | 'commands'> & { summary: string; notes?: string; commands: RunnableCommand[] },
): CommandGroup {
  const nameOf = (command: RunnableCommand) => command.name.slice(group.name.length + 1);
  const commands = Object.fromEntries(group.commands.map((command) => [nameOf(command), command]));
  return {
    name: group.name,
    commands,
    run: async (args) => {
      // Options may precede the word that names the command.
      const at = args.findIndex((word) => Object.hasOwn(commands, word));
      const [first = ''] = args;
      if (at === 0 || (at > 0 && first.startsWith('-'))) return commands[args[at]!]!.run(args.toSpliced(at, 1));
      if (['--help', '-h', 'help'].includes(first)) {
        process.stdout.write(groupHelp(group, commands));
        return 0;
      }
      const names = Object.keys(commands);
      return usage(
        `${group.name}: expected one of ${names.join(', ')}, got ${JSON.stringify(first || 'nothing')}${didYouMean(first, names)}`,
      );
    },
  };
}

function sentence(text: string): string {
  const whole = text.endsWith('.') ? text : `${text}.`;
  return whole[0]!.toUpperCase() + whole.slice(1);
}

function groupHelp(
  { name, summary, notes }: { name: string; summary: string; notes?: string },
  commands: Readonly<Record<string, RunnableCommand>>,
): string {
  const program = baseCommand(`claimwire ${name}`).description(sentence(summary)).usage('COMMAND [options]');
  for (const [word, command] of Object.entries(commands)) {
    const takes = command.operands === undefined ? '' : ` ${command.operands.name}`;
    program.addCommand(new Command(`${word}${takes}`).description(command.summary));
  }
  const more = `claimwire ${name} COMMAND --help says what it takes, with examples.`;
  return `${program.helpInformation()}\n${paragraphs([more, notes ?? ''].join('\n\n'), helpColumns())}\n`;
}

function helpColumns(): number {
  return Math.min(process.stdout.columns ?? HELP_COLUMNS_DEFAULT, HELP_COLUMNS_MAX);
}

/** An option's help: its meaning, its choices and its default. */
function optionDescription({ description, argChoices, defaultValueDescription, envVar }: Option): string {
  const facts: string[] = [];
  if (argChoices !== undefined) facts.push(argChoices.join(', '));
  if (defaultValueDescription !== undefined) facts.push(`default ${defaultValueDescription}`);
  if (envVar !== undefined) facts.push(`or ${envVar}`);
  return facts.length === 0 ? description : `${description} (${facts.join('; ')})`;
}

/** A commander command that neither exits nor prints by itself, and whose help fits the terminal. */
export function baseCommand(name: string): Command {
  return new Command(name)
    .exitOverride()
    .helpCommand(false)
    .helpOption(false)
    .showSuggestionAfterError(false)
    .configureOutput({ writeErr: () => {} })
    .configureHelp({
      helpWidth: helpColumns(),
      optionDescription,
      optionTerm: (option) => option.flags.replace(/[<>]/g, ''),
      subcommandTerm: (command) => command.name(),
    });
}

function commanderOf<Specs extends OptionSpecs>(spec: CommandSpec<Specs>, options: OptionSpecs): Command {
  const takes = spec.operands === undefined ? '' : ` ${spec.operands.name}`;
  const needed = Object.entries(spec.options).filter(([, { required }]) => required !== undefined);
  const flags = needed.map(([name]) => ` --${name} …`).join('');
  const command = baseCommand(`claimwire ${spec.name}`)
    .usage(`${takes.trimStart()}${flags} [options]`.trimStart())
    .description(sentence(spec.description ?? spec.summary))
    .argument('[operands...]')
    .configureHelp({ ...baseCommand('').configureHelp(), visibleArguments: () => [] });
  addOptions(command, options);
  command.addHelpOption(new Option('-h, --help', 'this text').helpGroup(COMMON_GROUP));
  const examples = spec.examples.map(([line, what]) => `  ${line}\n      ${what}`).join('\n');
  command.addHelpText('after', `\nExamples:\n${examples}\n\n${paragraphs(spec.notes, helpColumns())}`);
  return command;
}

/** Returns false after --help. */
function parse(command: Command, args: string[], options: OptionSpecs): boolean {
  try {
    command.action(() => {}).parse(args, { from: 'user' });
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return false;
    const flag = /'(--?[^' =]+)/.exec(error.message)?.[1] ?? '';
    // Commander does not know a switch with a value.
    if (Object.hasOwn(options, flag.slice(2)) && error.code === 'commander.unknownOption')
      return usage(`${flag}: expected no value, got one`);
    if (error.code === 'commander.unknownOption')
      return usage(`${nameOf(command)}: expected an option that --help shows, got ${flag}${near(flag, options)}`);
    if (error.code === 'commander.optionMissingArgument')
      return usage(`${flag}: expected ${options[flag.slice(2)]?.value ?? 'a value'}, got nothing`);
    return usage(`${nameOf(command)}: expected what --help shows, got ${error.message.replace(/^error: /, '')}`);
  }
}

function near(flag: string, options: OptionSpecs): string {
  return didYouMean(
    flag,
    Object.keys(options).map((name) => `--${name}`),
    '',
  );
}

function nameOf(command: Command): string {
  return command.name().replace(/^claimwire /, '');
}

function checkOperands({ name, operands }: CommandSpec<OptionSpecs>, given: readonly string[]): void {
  const isRight =
    operands === undefined
      ? given.length === 0
      : operands.count === 'any' || (operands.count === 'one' ? given.length === 1 : given.length > 0);
  const expected = operands === undefined ? 'no operand' : `one ${operands.name}`;
  if (!isRight) usage(`${name}: expected ${expected}, got ${given.length} operand${given.length === 1 ? '' : 's'}`);
}
