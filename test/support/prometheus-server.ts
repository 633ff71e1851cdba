/**
 * A real Prometheus and a real Alertmanager on loopback, with the files that deploy/ ships. Their windows are shorter, so that
 * alerts fire within seconds: `quickened` and `start` do that, and change nothing else. Test's process starts and ends them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import type { Program } from './prometheus.ts';

const DEPLOY = resolve(import.meta.dirname, '../../deploy');
const EVERY = '300ms';

/** The shipped rules: each window of a rate and each `for` is short, and every expression is the same. */
function quickened(rules: string): string {
  return rules.replaceAll(/\[\d+[smhd]\]/g, '[3s]').replaceAll(/^( +for): \S+$/gm, '$1: 300ms');
}

export interface Alert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** `ALERTNAME severity`. */
export const nameOf = ({ labels }: Pick<Alert, 'labels'>) => `${labels.alertname} ${labels.severity}`;

export class Monitoring {
  readonly #children: ChildProcess[] = [];
  #prometheus = '';
  #alertmanager = '';
  log = '';

  /** @param folder of the test, removed by it @param hook where Alertmanager sends alerts to */
  static async start(folder: string, targets: readonly string[], hook: string): Promise<Monitoring> {
    const self = new Monitoring();
    self.#prometheus = `127.0.0.1:${await freePort()}`;
    self.#alertmanager = `127.0.0.1:${await freePort()}`;
    const shipped = (name: string) => readFileSync(join(DEPLOY, name), 'utf8');
    const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
    write('alerts.yml', quickened(shipped('alerts.yml')));
    write(
      'prometheus.yml',
      replaced(shipped('prometheus.yml'), {
        'scrape_interval: 15s': `scrape_interval: ${EVERY}`,
        'evaluation_interval: 15s': `evaluation_interval: ${EVERY}`,
        'scrape_timeout: 5s': `scrape_timeout: ${EVERY}`,
        '"alertmanager:9093"': `"${self.#alertmanager}"`,
        '"node:9394"': targets.map((target) => `"${target}"`).join(', '),
        '"localhost:9090"': `"${self.#prometheus}"`,
      }),
    );
    write(
      'alertmanager.yml',
      replaced(shipped('alertmanager.yml'), {
        'http://127.0.0.1:9095/claimwire #': `${hook} #`,
        'http://127.0.0.1:9095/claimwire-critical': hook,
        'group_wait: 10s': 'group_wait: 1s',
      }),
    );
    const at = (name: string) => join(folder, name);
    self.#run('prometheus-alertmanager', [
      `--config.file=${at('alertmanager.yml')}`,
      `--storage.path=${at('alertmanager')}`,
      `--web.listen-address=${self.#alertmanager}`,
      '--cluster.listen-address=',
      '--log.level=warn',
    ]);
    self.#run('prometheus', [
      `--config.file=${at('prometheus.yml')}`,
      `--storage.tsdb.path=${at('prometheus')}`,
      `--web.listen-address=${self.#prometheus}`,
      '--log.level=warn',
    ]);
    return self;
  }

  /** Those that fire now, as Prometheus has them. Empty until it answers. */
  async firing(): Promise<Alert[]> {
    const answer = await this.#ask(`http://${this.#prometheus}/api/v1/alerts`);
    const { data } = (answer ?? { data: { alerts: [] } }) as { data: { alerts: (Alert & { state: string })[] } };
    return data.alerts.filter(({ state }) => state === 'firing');
  }

  /** What Alertmanager has been told of. */
  async received(): Promise<Alert[]> {
    return ((await this.#ask(`http://${this.#alertmanager}/api/v2/alerts`)) ?? []) as Alert[];
  }

  /** Each target's health and the last error of its scrape. */
  async targets(): Promise<{ health: string; lastError: string; scrapeUrl: string }[]> {
    const answer = await this.#ask(`http://${this.#prometheus}/api/v1/targets`);
    return ((answer as { data?: { activeTargets: never[] } } | undefined)?.data?.activeTargets ?? []) as never[];
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }),
    );
  }

  async #ask(url: string): Promise<unknown> {
    try {
      const response = await fetch(url);
      return response.ok ? await response.json() : undefined;
    } catch {
      return undefined;
    }
  }

  #run(program: Program, args: readonly string[]): void {
    // One core: what the two do besides is the test's.
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, GOMAXPROCS: '1' },
    });
    child.stderr!.on('data', (text) => {
      this.log += String(text);
    });
    this.#children.push(child);
  }
}

/** Throws where the text does not have what is to be replaced: a shipped file has changed. */
function replaced(text: string, words: Readonly<Record<string, string>>): string {
  return Object.entries(words).reduce((result, [from, to]) => {
    if (!result.includes(from)) throw new Error(`expected ${from} in the shipped file, got none`);
    return result.replace(from, to);
  }, text);
}

/** Prometheus does not tell which port it took where it was asked for any. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
