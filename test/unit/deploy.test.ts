/**
 * What deploy/ ships: Prometheus' own tools find no fault in it, every name in an expression is a metric that the node has, and
 * docs/metrics.md lists all metrics and all alerts.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { FAMILIES } from '../../src/metrics/exposition.ts';
import type { ServeOptions } from '../../src/serve.ts';
import { defineCommand } from '../../tools/command.ts';
import { nodeOptions, SERVER_OPTIONS } from '../../tools/node-options.ts';
import { hasPrograms, runProgram } from '../support/prometheus.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const at = (path: string) => join(ROOT, path);
const read = (path: string) => readFileSync(at(path), 'utf8');

const folder = mkdtempSync(join(tmpdir(), 'claimwire-deploy-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Rule {
  name: string;
  severity: string;
  expr: string;
  text: string;
}
const rules: Rule[] = read('deploy/alerts.yml')
  .split(/^ +- alert: /m)
  .slice(1)
  .map((text) => ({
    name: /^\w+/.exec(text)![0],
    severity: /severity: (\w+)/.exec(text)![1]!,
    expr: /expr: >-\n([\s\S]*?)\n +(?:for|labels):/.exec(text)![1]!,
    text,
  }));

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; refId: string }[];
}
const dashboard = JSON.parse(read('deploy/grafana/dashboard.json')) as {
  uid: string;
  panels: Panel[];
  templating: { list: { name: string }[] };
};
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = panels.flatMap(({ title, targets }) => targets!.map(({ expr }) => ({ title, expr })));

/** The series that an expression may name: those of the node, of its process, and what Prometheus itself adds. */
const series = new Set([
  ...FAMILIES.flatMap(({ name, type }) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
  ...['up', 'process_cpu_seconds_total', 'process_start_time_seconds', 'process_open_fds', 'process_max_fds'],
  ...['nodejs_eventloop_lag_p99_seconds', 'nodejs_eventloop_lag_max_seconds'],
]);
const named = (expr: string) => {
  // Labels, and the lists of labels after `by` and `on`, are no series.
  const bare = expr.replaceAll(/\{[^}]*\}/g, '').replaceAll(/\b(by|on|group_left|ignoring)\s*\([^)]*\)/g, '');
  return bare.match(/\b(claimwire|process|nodejs)_\w+|\bup\b/g) ?? [];
};

test('each alert names metrics that there are, and says what to look at and with which command', () => {
  expect(rules.length).toBeGreaterThan(35);
  for (const { name, severity, expr, text } of rules) {
    expect(named(expr).length, name).toBeGreaterThan(0);
    expect(
      named(expr).filter((each) => !series.has(each)),
      name,
    ).toEqual([]);
    expect(['warning', 'critical'], name).toContain(severity);
    expect(text, name).toMatch(/runbook: ["'].{40,}/);
    expect(text, name).toContain(`docs/metrics.md#${name.toLowerCase()}`);
  }
  const pairs = rules.map(({ name, severity }) => `${name} ${severity}`);
  expect(new Set(pairs).size).toBe(pairs.length);
});

test('each alert is fired by deploy/alerts.test.yml', () => {
  const cases = read('deploy/alerts.test.yml').replaceAll('\\"', '"');
  for (const { name, severity } of rules)
    expect(cases, `${name} ${severity}`).toMatch(new RegExp(`alertname="${name}", severity="${severity}"`));
});

describe('the dashboard', () => {
  test('each expression names metrics that there are', () => {
    expect(expressions.length).toBeGreaterThan(40);
    for (const { title, expr } of expressions) {
      expect(named(expr).length, title).toBeGreaterThan(0);
      expect(
        named(expr).filter((name) => !series.has(name)),
        title,
      ).toEqual([]);
      expect(expr, title).toContain('job="claimwire", instance=~"$instance"');
    }
  });

  test('panels have ids and letters of their own, and do not lie on one another', () => {
    const { list } = dashboard.templating;
    expect(list.map(({ name }) => name)).toEqual(['datasource', 'instance']);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const taken = new Set<string>();
    for (const {
      title,
      gridPos: { x, y, w, h },
    } of dashboard.panels) {
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++)
        for (let line = y; line < y + h; line++) {
          expect(taken.has(`${column} ${line}`), title).toBe(false);
          taken.add(`${column} ${line}`);
        }
    }
    for (const { title, targets } of panels)
      expect(new Set(targets!.map(({ refId }) => refId)).size, title).toBe(targets!.length);
  });
});

describe('docs/metrics.md', () => {
  const paper = read('docs/metrics.md');
  test('its table has each metric, with its type, its labels and what it is', () => {
    const rows = [...paper.matchAll(/\| `(claimwire_\w+)` +\| (\w+) +\| (.*?) *\| (.*?) *\|$/gm)];
    const written = rows.map(([, name, type, labels, help]) => `${name} | ${type} | ${labels} | ${help}`);
    const expected = FAMILIES.map(({ name, type, labels, help }) =>
      [name, type, labels.map((label) => `\`${label}\``).join(', '), help].join(' | '),
    );
    expect(written).toEqual(expected);
  });

  test('it has a heading for each alert, and for no other', () => {
    const headings = [...paper.matchAll(/^### (Claimwire\w+)$/gm)].map(([, name]) => name!);
    expect(headings).toEqual([...new Set(rules.map(({ name }) => name))]);
  });
});

test('the compose file mounts files that there are, publishes the admin interface to this machine alone, and drops rights', () => {
  const compose = read('deploy/compose.yaml');
  for (const [, path] of compose.matchAll(/- \.\/([\w./-]+):/g))
    expect(() => readdirOrFile(`deploy/${path}`), path).not.toThrow();
  for (const [, port] of compose.matchAll(/"([^"]*:(?:9394|9090|9093|3000))"/g))
    if (!port!.includes('0.0.0.0')) expect(port).toMatch(/^127\.0\.0\.1:/);
  expect(compose).toContain('cap_drop: [ALL]');
});

interface Service {
  command?: string[];
  secrets?: string[];
  volumes?: string[];
  ports?: string[];
  cap_drop?: string[];
  depends_on?: Record<string, unknown>;
  environment?: Record<string, string>;
}

describe('the cluster of deploy/cluster', () => {
  const cluster = 'deploy/cluster';
  const compose = parse(read(`${cluster}/compose.yaml`), { merge: true }) as {
    services: Record<string, Service>;
    secrets: Record<string, { file: string }>;
    volumes: Record<string, null>;
  };
  const services = Object.entries(compose.services);
  const nodes = services.filter(([name]) => name.startsWith('node-'));

  test('it is three nodes, a primary and two standbys, with what they name', () => {
    expect(services.map(([name]) => name)).toEqual(['db-1', 'db-2', 'db-3', 'node-a', 'node-b', 'node-c']);
    const made = [...read(`${cluster}/secrets.sh`).matchAll(/(?:-out|>|cp db-password) ([\w.-]+)/g)].map(
      ([, file]) => file,
    );
    for (const { file } of Object.values(compose.secrets))
      expect(made, file).toContain(file.replace(/^\$\{CLAIMWIRE_SECRETS[^}]*\}\//, ''));
    for (const [name, { secrets = [], volumes = [], depends_on = {} }] of services) {
      for (const secret of secrets) expect(Object.keys(compose.secrets), name).toContain(secret);
      for (const other of Object.keys(depends_on)) expect(Object.keys(compose.services), name).toContain(other);
      for (const [source] of volumes.map((each) => each.split(':')))
        if (source!.startsWith('./')) readFileSync(at(`${cluster}/${source}`));
        else expect(Object.keys(compose.volumes), name).toContain(source);
    }
    const standbys = services.flatMap(([, { environment }]) => environment?.STANDBY ?? []);
    expect(read(`${cluster}/primary.sh`)).toContain(`'any 1 (${standbys.join(', ')})'`);
  });

  test('nodes take their options, share certificates and tokens, and publish no admin interface', async () => {
    let seen: ServeOptions | undefined;
    const files = mkdtempSync(join(folder, 'secrets-'));
    const secrets = ['node-db-password', 'cluster-ca', 'node-cert', 'node-key', 'cluster-token'];
    for (const name of secrets) writeFileSync(join(files, name), 'ab'.repeat(32), { mode: 0o600 });
    const command = defineCommand({
      name: 'node',
      summary: 'reads options',
      options: SERVER_OPTIONS,
      examples: [],
      notes: '',
      act: async (values) => {
        seen = nodeOptions(values);
        return 0;
      },
    });
    const places: string[] = [];
    for (const [name, { command: words, cap_drop, ports }] of nodes) {
      const [first, ...args] = words!.map((word) =>
        word.replaceAll(/\$\{CLAIMWIRE_HOST[^}]*\}/g, '192.0.2.7').replace('/run/secrets', files),
      );
      expect(first).toBe('node');
      await command.run(args);
      expect(seen).toMatchObject({ cluster: true, nodeName: name, httpHosts: [name] });
      expect(seen!.peers).toMatchObject({ listen: { port: 9395 }, isPlain: false, token: 'ab'.repeat(32) });
      expect(seen!.advertise).toContain(`https://${name}:9395`);
      expect(seen!.store).not.toContain('@db-1:5432/');
      places.push(...seen!.advertise!);
      expect(cap_drop).toEqual(['ALL']);
      for (const port of ports!) if (port.endsWith(':9394')) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
    expect(new Set(places).size).toBe(9);
  });
});

function readdirOrFile(path: string): void {
  try {
    readFileSync(at(path));
  } catch {
    readdirSync(at(path));
  }
}

test('the container runs as a user without rights, and copies what there is', () => {
  const lines = read('deploy/Dockerfile').split('\n');
  const users = lines.filter((line) => line.startsWith('USER '));
  expect(users.at(-1)).toBe('USER claimwire');
  const stages = new Set([...lines.join('\n').matchAll(/^FROM .* AS ([\w-]+)$/gm)].map(([, name]) => name));
  for (const [, stage] of lines.join('\n').matchAll(/--from=(\w+)/g)) expect(stages).toContain(stage);
  for (const name of ['package.json', 'package-lock.json']) expect(() => read(name)).not.toThrow();
});

describe.runIf(hasPrograms('promtool', 'amtool'))("Prometheus' own tools", () => {
  test.each([
    ['promtool', ['check', 'rules', 'deploy/alerts.yml']],
    ['promtool', ['test', 'rules', 'deploy/alerts.test.yml']],
    ['promtool', ['check', 'config', 'deploy/prometheus.yml']],
    ['amtool', ['check-config', 'deploy/alertmanager.yml']],
  ] as const)('%s %j', (program, args) => {
    const { code, output } = runProgram(
      program,
      args.map((arg) => (arg.startsWith('deploy/') ? at(arg) : arg)),
    );
    expect(output).not.toMatch(/FAILED|error/i);
    expect(code, output).toBe(0);
  });

  test('every expression of the dashboard can be read', () => {
    // promtool reads expressions within rules only. Grafana puts in the interval.
    const text = expressions.map(({ expr }, index) => {
      const whole = JSON.stringify(expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'));
      return `  - record: panel:${index}\n    expr: ${whole}\n`;
    });
    const path = join(folder, 'dashboard.yml');
    writeFileSync(path, `groups:\n- name: dashboard\n  rules:\n${text.join('')}`);
    const { code, output } = runProgram('promtool', ['check', 'rules', path]);
    expect(code, output).toBe(0);
  });
});
