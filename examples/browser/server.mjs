/**
 * A page that pays: this serves it, and opens a channel for each key that a page brings. The operator's token stays here.
 *
 * It starts a node of its own. For a node that runs already (with --web and --web-origin http://127.0.0.1:8080), give the
 * admin interface, the token file and the address of --web:
 *
 * Run it: node examples/browser/server.mjs [http://127.0.0.1:9394 ./data/admin-token http://127.0.0.1:9396]
 * It needs esbuild for the bundle, and ws and node-datachannel for the node: npm install esbuild ws node-datachannel
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from 'claimwire';
import { build } from 'esbuild';

const PORT = Number(process.env.PORT ?? 8080);
const DEPOSIT = '1000000'; // drops
const CHANNELS_MAX = 1_000;
const BODY_BYTES_MAX = 1_024;

const here = (name) => join(import.meta.dirname, name);
const bundle = await build({
  entryPoints: [here('page.js')],
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  write: false,
});
/** All that the page loads. Nothing comes from elsewhere. */
const FILES = {
  '/': ['text/html; charset=utf-8', await readFile(here('index.html'))],
  '/style.css': ['text/css', await readFile(here('style.css'))],
  '/page.js': ['text/javascript', bundle.outputFiles[0].contents],
};

const server = createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(500).end(`${error.message}\n`));
});
server.listen(PORT, '127.0.0.1');
await once(server, 'listening');
const origin = `http://127.0.0.1:${server.address().port}`;
const { admin, token, web, end } = await findNode();

/** The channels opened here, by public key. A real server asks the ledger what a channel holds, and keeps them. */
const opened = new Map();

async function answer(request, response) {
  const { method, headers } = request;
  const [url] = request.url.split('?');
  if (method === 'GET' && Object.hasOwn(FILES, url)) {
    const [type, body] = FILES[url];
    const connect = `'self' ${web} ${web.replace('http', 'ws')}`;
    const policy = `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src ${connect}`;
    response.writeHead(200, { 'content-type': type, 'content-security-policy': policy, 'cache-control': 'no-store' });
    return response.end(body);
  }
  if (method !== 'POST' || url !== '/channel') return response.writeHead(404).end();
  // Pages of others cannot make this server open channels.
  if (headers.origin !== origin) return response.writeHead(403).end();
  const publicKey = await text(request);
  if (!/^0[23][0-9A-F]{64}$/.test(publicKey)) return response.writeHead(400).end('expected a public key\n');
  if (!opened.has(publicKey)) {
    if (opened.size >= CHANNELS_MAX) return response.writeHead(503).end('expected fewer channels\n');
    opened.set(publicKey, await openChannel(publicKey));
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  return response.end(JSON.stringify({ ledgerChannelId: opened.get(publicKey), deposit: DEPOSIT, node: web }));
}

/** Opens a channel at the node. On the XRP Ledger its id is that of the PaymentChannelCreate's channel; this one is play money. */
async function openChannel(publicKey) {
  const ledgerChannelId = randomBytes(32).toString('hex').toUpperCase();
  const response = await fetch(new URL('/channels', admin), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ledgerChannelId, publicKey, capacity: DEPOSIT }),
  });
  if (!response.ok) throw new Error(`expected an opened channel, got ${response.status} ${await response.text()}`);
  return ledgerChannelId;
}

async function text(request) {
  let body = '';
  for await (const chunk of request) {
    body += chunk;
    if (body.length > BODY_BYTES_MAX) throw new Error(`expected at most ${BODY_BYTES_MAX} bytes`);
  }
  return body;
}

/** The node of the command line, or one that ends with this program. */
async function findNode() {
  const [url, tokenFile, address] = process.argv.slice(2);
  if (url !== undefined)
    return { admin: url, token: (await readFile(tokenFile, 'utf8')).trim(), web: address, end: async () => {} };
  const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
  const anyPort = { host: '127.0.0.1', port: 0 };
  const serving = await serve({
    data,
    udp: anyPort,
    http: anyPort,
    web: anyPort,
    webrtc: true,
    webOrigins: [origin],
  });
  return {
    admin: `http://${serving.http}`,
    token: (await readFile(join(data, 'admin-token'), 'utf8')).trim(),
    web: `http://${serving.node.web}`,
    end: async () => {
      await serving.stop();
      await rm(data, { recursive: true });
    },
  };
}

console.log(`open ${origin}/ in a browser; Ctrl-C ends`);
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
server.close();
server.closeAllConnections();
await end();
