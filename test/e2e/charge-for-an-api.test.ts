/** Newcomers copy the two programs of the README's section on APIs, so they must run as they are, and have fifteen lines. */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const PORTS = ['3000', '9402'];

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return String(port);
}

test('a paid API and its payer', { timeout: 60_000 }, async () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const [, text] = /## Charge for an API(.*?)\n## /s.exec(readme)!;
  const programs = [...text!.matchAll(/```js\n(.*?)```/gs)].map(([, program]) => program!);
  for (const program of programs)
    expect(program.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(15);
  // Inside the package, so that its imports find it; on ports that are free.
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, 'build/charge-'));
  const ports = await Promise.all(PORTS.map(freePort));
  const onPorts = (program: string) =>
    PORTS.reduce((changed, port, index) => changed.replaceAll(port, ports[index]!), program);
  writeFileSync(join(folder, 'seller.mjs'), onPorts(programs[0]!));
  writeFileSync(join(folder, 'payer.mjs'), programs[1]!);
  const payer = async (...urls: string[]) => {
    const options = { cwd: folder, timeout: 45_000 };
    const { stdout } = await promisify(execFile)(process.execPath, ['payer.mjs', ...urls], options);
    return stdout.trim().split('\n');
  };
  const [said] = await payer();
  const seller = spawn(process.execPath, said!.split(' ').slice(1), {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await new Promise((done) => seller.stdout.once('data', done));
    const url = `http://127.0.0.1:${ports[1]}`;
    expect((await fetch(url)).status).toBe(402);
    expect((await payer(`${url}/why`, `${url}/how`)).slice(1)).toEqual(['/why is 42', '/how is 42']);
    expect(JSON.parse(readFileSync(join(folder, 'payer.json'), 'utf8'))).toMatchObject({ signed: '50' });
    // What it signed for is remembered, so that another run pays on.
    expect((await payer(`${url}/who`)).at(-1)).toBe('/who is 42');
  } finally {
    const ended = new Promise((done) => seller.once('exit', done));
    seller.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
});
