/** The files of the live page, as a browser gets them: under a strict policy, by name alone, and never stale. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';

let admin: FakeAdmin;
beforeAll(async () => {
  admin = await startFakeAdmin();
});
afterAll(() => admin.close());

const ask = (path: string, init: RequestInit = {}) => fetch(admin.url + path, init);

test('it runs no script but its own, loads from nowhere else, and is not framed', async () => {
  const index = await ask('/');
  const policy = index.headers.get('content-security-policy')!;
  for (const part of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"])
    expect(policy).toContain(part);
  expect(policy).not.toMatch(/unsafe|http|\*/);
  expect(index.headers.get('x-content-type-options')).toBe('nosniff');
  const html = await index.text();
  expect(html).not.toMatch(/https?:|<style|style=|\son\w+=|<script>/);
});

test('each file that it names, and each module that these import, is there under its type', async () => {
  const types = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8', svg: 'image/svg+xml' };
  const names = [...(await (await ask('/')).text()).matchAll(/"\/page\/([^"]+)"/g)].map(([, name]) => name!);
  expect(names).toContain('main.js');
  for (const name of names) {
    const response = await ask(`/page/${name}`);
    expect([response.status, response.headers.get('content-type')], name).toEqual([
      200,
      types[name.split('.').at(-1) as keyof typeof types],
    ]);
    const text = await response.text();
    expect(Number(response.headers.get('content-length')), name).toBe(Buffer.byteLength(text));
    for (const [, module] of text.matchAll(/from '\.\/([\w-]+\.js)'/g))
      if (!names.includes(module!)) names.push(module!);
    // Data becomes text: no module makes markup of anything.
    if (name !== 'uplot.js') expect(text, name).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
  }
  expect(names.length).toBeGreaterThan(20);
});

test('HEAD has the headers alone, a known tag 304, other names 404 and other methods 405', async () => {
  const head = await ask('/page/main.js', { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
  expect(head.headers.get('cache-control')).toBe('no-cache');
  const headers = { 'if-none-match': head.headers.get('etag')! };
  const known = await ask('/page/main.js', { headers });
  expect([known.status, await known.text()]).toEqual([304, '']);
  expect((await ask('/', { headers })).status).toBe(200);
  for (const name of ['none.js', '..%2fserve.js', '__proto__', 'constructor', 'main.ts', ''])
    for (const method of ['GET', 'HEAD']) expect((await ask(`/page/${name}`, { method })).status, name).toBe(404);
  for (const path of ['/', '/page/main.js']) {
    const posted = await ask(path, { method: 'POST' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  }
});
