/**
 * Options of commands: each is declared once, as an OptionSpec, and from that come its parsing, its type, its help, its
 * environment variable, its key in a --config file and its completion.
 *
 * The command line has precedence over the environment, then comes the file of --config, then the default.
 */
import { type Command, Option } from 'commander';
import { readFile, usage } from './args.ts';
import { didYouMean } from './suggest.ts';

export interface OptionSpec {
  /** The name of its value in help; a switch has none. */
  value?: string;
  description: string;
  /** In the form in which a user would write it. */
  default?: string;
  /** How help describes a default that is computed. */
  defaultText?: string;
  /** For an option that is required: what the error message says is expected. */
  required?: string;
  /** The environment variable that stands in for the flag. */
  env?: string;
  /** The only texts that are allowed. */
  choices?: readonly string[];
  /** Turns its text into its value, or throws USAGE, where `flag` names it. Without this, the text is the value. */
  read?: (text: string, flag: string) => unknown;
  /** Whether it may be given several times. */
  repeatable?: true;
  /** Its heading in help. */
  group?: string;
}
/** The options by name, which is also their key in a --config file. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type TextOf<Spec> = Spec extends { choices: readonly (infer Choice)[] } ? Choice : string;
type ReadOf<Spec> = Spec extends { read: (text: string, flag: string) => infer Read } ? Read : TextOf<Spec>;
type Certain = { default: string } | { required: string };
type ValueOf<Spec> = Spec extends { value: string }
  ? Spec extends { repeatable: true }
    ? ReadOf<Spec>[]
    : Spec extends Certain
      ? ReadOf<Spec>
      : ReadOf<Spec> | undefined
  : boolean;
export type Values<Specs extends OptionSpecs> = { [Name in keyof Specs]: ValueOf<Specs[Name]> };

export const COMMON_GROUP = 'Every command:';
/** Every command has these. */
export const COMMON_OPTIONS = {
  json: { description: 'for machines: the result, or the error, as JSON on stdout', group: COMMON_GROUP },
  config: {
    value: 'FILE',
    description: 'options as JSON, like {"http": "127.0.0.1:9394"}: a flag or its variable goes before it',
    group: COMMON_GROUP,
  },
} as const satisfies OptionSpecs;

/** Where the data folder is by default. */
export const DATA_OPTION = {
  value: 'DIR',
  description: "the node's data folder: registry, journal, admin token",
  default: './data',
  env: 'CLAIMWIRE_DATA',
} as const;

const NODE_GROUP = 'The node that is talked to:';
/** Options of commands that talk to a node's admin interface. */
export const NODE_OPTIONS = {
  http: {
    value: 'URL',
    description: "the node's admin interface",
    default: 'http://127.0.0.1:9394',
    env: 'CLAIMWIRE_HTTP',
    group: NODE_GROUP,
    read: (text: string) => (text.includes('://') ? text : `http://${text}`),
  },
  'token-file': {
    value: 'FILE',
    description: 'its token, for changes and signatures',
    defaultText: './data/admin-token, or the one in CLAIMWIRE_DATA',
    env: 'CLAIMWIRE_TOKEN_FILE',
    group: NODE_GROUP,
  },
} as const satisfies OptionSpecs;

/** The arguments of AdminClient.open. */
export function adminAddress(values: Values<typeof NODE_OPTIONS>): { http: string; tokenFile: string } {
  const data = process.env[DATA_OPTION.env] || DATA_OPTION.default;
  return { http: values.http, tokenFile: values['token-file'] ?? `${data}/admin-token` };
}

/** Declares the options to commander. Their values stay text, since readValues reads them and knows their origin. */
export function addOptions(command: Command, specs: OptionSpecs): void {
  for (const [name, spec] of Object.entries(specs)) {
    const option = new Option(spec.value === undefined ? `--${name}` : `--${name} <${spec.value}>`, spec.description);
    if (spec.repeatable) option.argParser((text: string, before: string[] = []) => [...before, text]);
    if (spec.default !== undefined || spec.defaultText !== undefined)
      option.default(spec.default, spec.defaultText ?? spec.default);
    if (spec.env !== undefined) option.env(spec.env);
    if (spec.choices !== undefined) option.argChoices = [...spec.choices];
    if (spec.group !== undefined) option.helpGroup(spec.group);
    command.addOption(option);
  }
}

/** A text that was given, and its name in an error. */
interface Given {
  texts: readonly string[];
  flag: string;
}

/**
 * The values of a parsed command. Throws USAGE for the first that is wrong.
 * @param known all options of the command, where `specs` are some of them
 */
export function readValues<Specs extends OptionSpecs>(
  command: Command,
  specs: Specs,
  known: OptionSpecs = specs,
): Values<Specs> {
  const configured = readConfig(command.getOptionValue('config') as string | undefined, known);
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const given = givenFor(command, name, spec, configured);
    if (spec.value === undefined) values[name] = given?.texts[0] === 'true';
    else if (spec.repeatable) values[name] = given?.texts.map((text) => readText(spec, text, given.flag)) ?? [];
    else if (given !== undefined) values[name] = readText(spec, given.texts[0]!, given.flag);
    else if (spec.required !== undefined) usage(`--${name}: expected ${spec.required}, got nothing`);
  }
  return values as Values<Specs>;
}

/** Looks in the order of precedence: flag, environment, file, default. An empty variable counts as unset. */
function givenFor(command: Command, name: string, spec: OptionSpec, configured: Map<string, Given>): Given | undefined {
  const attribute = new Option(`--${name}`).attributeName();
  const source = command.getOptionValueSource(attribute);
  if (source === 'cli') {
    const value = command.getOptionValue(attribute) as string | string[] | boolean;
    return { texts: [value].flat().map(String), flag: `--${name}` };
  }
  const variable = spec.env === undefined ? '' : (process.env[spec.env] ?? '');
  if (variable !== '') return { texts: spec.repeatable ? variable.split(',') : [variable], flag: spec.env! };
  return (
    configured.get(name) ?? (spec.default === undefined ? undefined : { texts: [spec.default], flag: `--${name}` })
  );
}

function readText(spec: OptionSpec, text: string, flag: string): unknown {
  if (spec.choices !== undefined && !spec.choices.includes(text)) {
    const help = didYouMean(text, spec.choices);
    usage(`${flag}: expected ${listText(spec.choices)}, got ${JSON.stringify(text)}${help}`);
  }
  return spec.read === undefined ? text : spec.read(text, flag);
}

/** Formats a list: "a", "a or b", "a, b or c". */
function listText(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

/** The values of a --config file, as texts. Numbers and switches may be JSON numbers and booleans. */
function readConfig(file: string | undefined, specs: OptionSpecs): Map<string, Given> {
  const given = new Map<string, Given>();
  if (file === undefined) return given;
  const names = Object.keys(specs).filter((name) => name !== 'config');
  for (const [name, value] of Object.entries(parseConfig(file))) {
    const flag = `${file}: ${name}`;
    const spec = names.includes(name) ? specs[name]! : undefined;
    if (spec === undefined)
      return usage(
        `--config ${file}: expected names of options, got ${JSON.stringify(name)}${didYouMean(name, names)}`,
      );
    const items = spec.repeatable && Array.isArray(value) ? value : [value];
    const isSwitch = spec.value === undefined;
    const isText = (item: unknown) => typeof item === 'string' || typeof item === 'number';
    if (!items.every((item) => (isSwitch ? typeof item === 'boolean' : isText(item))))
      usage(`${flag}: expected ${isSwitch ? 'true or false' : 'a text or a number'}, got ${JSON.stringify(value)}`);
    given.set(name, { texts: items.map(String), flag });
  }
  return given;
}

function parseConfig(file: string): object {
  const text = readFile(file, '--config');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    return usage(`--config ${file}: expected a JSON object, got what JSON does not know: ${(error as Error).message}`);
  }
  return usage(`--config ${file}: expected a JSON object like {"lanes": 2}, got another value`);
}
