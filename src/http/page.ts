/**
 * GET / and /page/NAME: the live page, which src/page is the source of. Main thread.
 *
 * The files are few, are named here, and are read once. The page may load from this server alone and runs no script that is
 * not one of these files, so that nothing that a payer can write into a figure becomes code.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { HttpRefusal } from './message.ts';
import type { Call, Route } from './route.ts';

const SCRIPTS = [
  'main',
  'app-header',
  'channel-detail',
  'channel-list',
  'chart',
  'charts',
  'cluster-terms',
  'counters',
  'dom',
  'feed',
  'figures',
  'history',
  'panels',
  'terms',
  'theme',
  'token',
  'units',
];
const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
const JAVASCRIPT = 'text/javascript; charset=utf-8';
const INDEX = 'index.html';
/** By name: the type, and where the file is, from the page's folder or from uPlot's. */
const FILES: ReadonlyMap<string, { type: string; path: () => string }> = new Map([
  [INDEX, { type: HTML, path: () => join(pageFolder(), INDEX) }],
  ...['style.css', 'layout.css'].map((name) => [name, { type: CSS, path: () => join(pageFolder(), name) }] as const),
  ['icon.svg', { type: 'image/svg+xml', path: () => join(pageFolder(), 'icon.svg') }],
  ...SCRIPTS.map((name) => [`${name}.js`, { type: JAVASCRIPT, path: () => join(pageFolder(), `${name}.js`) }] as const),
  ['uplot.js', { type: JAVASCRIPT, path: () => join(plotFolder(), 'uPlot.iife.min.js') }],
  ['uplot.css', { type: CSS, path: () => join(plotFolder(), 'uPlot.min.css') }],
]);
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  // No text becomes markup, whoever calls what.
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

interface Asset {
  type: string;
  body: Buffer;
  tag: string;
}
const assets = new Map<string, Asset>();

export function pageRoutes(): Route[] {
  const route = (method: 'GET' | 'HEAD', path: string, name: (call: Call) => string): Route => ({
    method,
    path,
    scope: undefined,
    takesBody: false,
    answer: (call) => answer(call, name(call)),
  });
  return (['GET', 'HEAD'] as const).flatMap((method) => [
    route(method, '/', () => INDEX),
    route(method, '/page/{id}', ({ id }) => id),
  ]);
}

function answer({ request, response }: Call, name: string): void {
  const { type, body, tag } = assetOf(name);
  const isKnown = request.headers['if-none-match'] === tag;
  response.writeHead(isKnown ? 304 : 200, {
    // Asked for each time, and mostly answered with 304: a page of one release never runs scripts of another.
    'cache-control': 'no-cache',
    etag: tag,
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    ...(isKnown ? {} : { 'content-type': type, 'content-length': body.length }),
  });
  response.end(isKnown || request.method === 'HEAD' ? undefined : body);
}

function assetOf(name: string): Asset {
  const known = assets.get(name);
  if (known !== undefined) return known;
  const file = FILES.get(name);
  if (file === undefined) throw new HttpRefusal(404, 'page: expected the name of one of its files');
  const body = readFileSync(file.path());
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  const asset = { type: file.type, body, tag };
  assets.set(name, asset);
  return asset;
}

/** The compiled page: as seen from the compiled code, and from the source. */
function pageFolder(): string {
  const folders = ['../page', '../../dist/src/page'].map((path) => join(import.meta.dirname, path));
  const folder = folders.find((each) => existsSync(join(each, 'main.js')));
  if (folder === undefined) throw new Error('expected the compiled page in dist/src/page, got none; run make build');
  return folder;
}

function plotFolder(): string {
  return dirname(createRequire(import.meta.url).resolve('uplot'));
}
