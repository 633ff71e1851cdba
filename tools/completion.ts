/**
 * `claimwire completion bash|zsh`: a shell script, made from what the commands declare, that completes commands, options,
 * choices and files. zsh runs the same script through its bashcompinit.
 */

import { usage } from './args.ts';
import { type CommandGroup, defineCommand, type RunnableCommand } from './command.ts';
import { COMMANDS } from './commands.ts';
import type { OptionSpec } from './options.ts';
import { writeJson } from './output.ts';

const SHELLS = ['bash', 'zsh'];

export const command = defineCommand({
  name: 'completion',
  summary: 'prints what completes commands and options in a shell',
  operands: { name: SHELLS.join('|'), count: 'one' },
  options: {},
  examples: [
    ['eval "$(claimwire completion bash)"', 'in ~/.bashrc: Tab completes from then on'],
    ['eval "$(claimwire completion zsh)"', 'in ~/.zshrc, behind compinit'],
  ],
  notes: 'Exit code: 0 fine, 2 usage.',
  act: async ({ json }, [shell = '']) => {
    if (!SHELLS.includes(shell)) usage(`completion: expected ${SHELLS.join(' or ')}, got ${JSON.stringify(shell)}`);
    const script = await scriptFor(shell);
    if (json) writeJson({ shell, script });
    else process.stdout.write(script);
    return 0;
  },
});
export const { run } = command;

async function scriptFor(shell: string): Promise<string> {
  const words: string[] = [];
  const values: string[] = [];
  const groups: string[] = [];
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    const { command: loaded } = await load();
    if ('commands' in loaded) {
      groups.push(name);
      words.push(`    '${name}') words='${Object.keys(loaded.commands).join(' ')} --help' ;;`);
    }
    for (const each of commandsOf(loaded)) {
      words.push(`    '${each.name}') words='${wordsOf(each)}' ;;`);
      values.push(...Object.entries(each.options).flatMap(([option, spec]) => valueCase(each.name, option, spec)));
    }
  }
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}# claimwire: commands and options, completed.
_claimwire() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words='' command=''
  COMPREPLY=()
  if ((COMP_CWORD > 1)); then command="\${COMP_WORDS[1]}"; fi
  case "$command" in
    ${groups.join('|')}) if ((COMP_CWORD > 2)); then command+=" \${COMP_WORDS[2]}"; fi ;;
  esac
  case "$command $previous" in
${values.join('\n')}
  esac
  case "$command" in
    '') words='${Object.keys(COMMANDS).join(' ')} help --help --version' ;;
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  # What is no option may be a file.
  if [[ -n "$command" && "$current" != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _claimwire claimwire
`;
}

function commandsOf(loaded: RunnableCommand | CommandGroup): RunnableCommand[] {
  return 'commands' in loaded ? Object.values(loaded.commands) : [loaded];
}

function wordsOf({ name, options, operands }: RunnableCommand): string {
  const shells = name === 'completion' ? operands!.name.split('|') : [];
  return [...shells, ...Object.keys(options).map((option) => `--${option}`), '--help'].join(' ');
}

/** How an option's value is completed: by its choices or as a file; anything else is not completed. */
function valueCase(name: string, option: string, { value, choices }: OptionSpec): string[] {
  if (value === undefined) return [];
  const made =
    choices !== undefined
      ? `compgen -W '${choices.join(' ')}' -- "$current"`
      : /^(FILE|DIR|OUT)/.test(value)
        ? 'compgen -f -- "$current"'
        : undefined;
  const reply = made === undefined ? '' : `COMPREPLY=($(${made})); `;
  return [`    '${name} --${option}') ${reply}return ;;`];
}
