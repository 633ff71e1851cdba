/**
 * `claimwire doctor`: looks at the machine as a node would find it, and says for each shortcoming which command mends it.
 *
 * Main thread of its own process. The checks are in tools/doctor, pure functions over what the machine says of itself.
 */
import { hostPort, usage } from './args.ts';
import { defineCommand } from './command.ts';
import type { Check, Finding, Wanted } from './doctor/check.ts';
import { clock, clockSource } from './doctor/clock.ts';
import { fileSystem, permissions, space, syncLatency } from './doctor/disk.ts';
import { hardware } from './doctor/hardware.ts';
import type { Machine } from './doctor/machine.ts';
import { descriptors, ledger, ports, receiveBuffer, trains } from './doctor/network.ts';
import { addon, cores, hugePages, kernel, memory, node } from './doctor/processor.ts';
import { signer } from './doctor/signer.ts';
import { store } from './doctor/store.ts';
import { DATA_OPTION } from './options.ts';
import { wrapped, writeJson } from './output.ts';

/** In the order in which they are printed. */
export const CHECKS = {
  node,
  addon,
  kernel,
  cores,
  memory,
  hugePages,
  receiveBuffer,
  trains,
  descriptors,
  ports,
  fileSystem,
  space,
  syncLatency,
  permissions,
  clock,
  clockSource,
  ledger,
  store,
  signer,
  hardware,
} as const satisfies Record<string, Check>;

export interface Examination {
  ok: boolean;
  errors: number;
  warnings: number;
  checks: ({ name: string } & Finding)[];
}

/** Makes every check, one after the other: those that measure must not disturb each other. */
export async function examine(machine: Machine, wanted: Wanted): Promise<Examination> {
  const checks: Examination['checks'] = [];
  for (const [name, check] of Object.entries<Check>(CHECKS))
    checks.push({ name, ...(await found(check, machine, wanted)) });
  const count = (state: Finding['state']) => checks.filter((each) => each.state === state).length;
  return { ok: count('error') === 0, errors: count('error'), warnings: count('warning'), checks };
}

/** A check that fails itself is told as such: the others are worth as much without it. */
async function found(check: Check, machine: Machine, wanted: Wanted): Promise<Finding> {
  try {
    return await check(machine, wanted);
  } catch (error) {
    return {
      state: 'error',
      message: `The check itself failed: ${(error as Error).message}.`,
      fix: 'claimwire doctor --json',
    };
  }
}

export const command = defineCommand({
  name: 'doctor',
  summary: 'checks this machine for a node, and says what mends it',
  options: {
    data: DATA_OPTION,
    udp: {
      value: 'HOST:PORT',
      description: "the node's address for claims",
      default: '127.0.0.1:9393',
      read: hostPort,
    },
    http: {
      value: 'HOST:PORT',
      description: "the address of the node's admin interface",
      default: '127.0.0.1:9394',
      read: hostPort,
    },
    ledger: { value: 'URL', description: 'a server of the ledger that the node would use: wss://…', read: ledgerUrl },
    store: { value: 'URL', description: 'the database that the node would use: postgres://USER@HOST:PORT,…/NAME' },
    'store-password-file': {
      value: 'FILE',
      description: "has the database's password in its first line",
      defaultText: 'PGPASSWORD, or ~/.pgpass',
    },
    wallet: { value: 'FILE', description: 'the wallet that the node would redeem with' },
  },
  examples: [
    ['claimwire doctor', 'what a node in ./data would find'],
    ['claimwire doctor --data /var/lib/claimwire --ledger wss://s1.ripple.com', 'with the way to the ledger'],
    ['claimwire doctor --store postgres://claimwire@db1,db2/claimwire', 'with the database and its standbys'],
    ["claimwire doctor --json | jq -r '.checks[] | select(.fix).fix'", 'the mending commands alone'],
  ],
  notes: `It changes nothing: it writes 50 blocks of 4 KiB to a file in the data folder, or above it, and removes that.
With --store it makes a table claimwire_doctor_… there, commits 50 rows of 96 bytes, and drops it. No fix is run; read each
before you run it.

With --json {ok, errors, warnings, checks: [{name, state, message, fix, facts}]}, where state is ok, warning or error, fix
is there unless it is ok, and facts are what was read or measured.

Exit code: 0 no errors, 1 an error, 2 usage.`,
  act: async ({ data, udp, http, ledger: url, store: address, 'store-password-file': passwordFile, wallet, json }) => {
    // Loaded when it is needed: it loads the addon and maps its caches.
    const { realMachine } = await import('./doctor/real-machine.ts');
    const examination = await examine(realMachine, {
      data,
      udp,
      http,
      ledger: url,
      store: address === undefined ? undefined : { url: address, passwordFile },
      wallet,
    });
    if (json) writeJson(examination);
    else process.stdout.write(examinationText(examination, process.stdout.columns || COLUMNS_DEFAULT, hasColours()));
    return examination.ok ? 0 : 1;
  },
});
export const { run } = command;

function ledgerUrl(text: string, flag: string): string {
  if (URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol)) return text;
  return usage(`${flag}: expected a URL like wss://s1.ripple.com, got ${JSON.stringify(text)}`);
}

const COLUMNS_DEFAULT = 100;
const COLUMNS_MAX = 110;
const STATE_COLUMNS = 9;
const NAME_COLUMNS = 15;
const COLOURS = { ok: 32, warning: 33, error: 31 } as const;

function hasColours(): boolean {
  return process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

/** A line or more for each check, its mending command below it, and the sum. */
export function examinationText({ checks, errors, warnings }: Examination, columns: number, inColour: boolean): string {
  const indent = ' '.repeat(STATE_COLUMNS + NAME_COLUMNS);
  const width = Math.max(Math.min(columns, COLUMNS_MAX) - indent.length, 30);
  const lines = checks.map(({ name, state, message, fix }) => {
    const word = state.padEnd(STATE_COLUMNS);
    const label = (inColour ? `\x1b[${COLOURS[state]}m${word}\x1b[0m` : word) + name.padEnd(NAME_COLUMNS);
    // A command stays in one line, however long, so that it can be copied.
    const mends = fix === undefined ? '' : `${indent}$ ${fix}\n`;
    return `${label}${wrapped(message, width).replaceAll('\n', `\n${indent}`)}\n${mends}`;
  });
  const sum = `${countText(errors, 'error')}, ${countText(warnings, 'warning')} in ${checks.length} checks`;
  return `${lines.join('')}\n${sum}\n`;
}

function countText(count: number, noun: string): string {
  return `${count === 0 ? 'no' : count} ${noun}${count === 1 ? '' : 's'}`;
}
