/**
 * What an operator does over HTTP: open a channel, top it up, look at it and at the counters, close it, forget it.
 * Reading is free for every process of the machine; changes need the token from the data folder.
 *
 * It starts a node of its own. For a node that runs already, set the URL and the token file:
 *
 * Run it: node examples/operator.mjs [http://127.0.0.1:9394 ./data/admin-token]
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from 'claimwire';
import { generateKey } from 'claimwire/client';

let [url, tokenFile] = process.argv.slice(2);
let end = async () => {};
if (url === undefined) {
  const data = await mkdtemp(join(tmpdir(), 'claimwire-example-'));
  const anyPort = { host: '127.0.0.1', port: 0 };
  const serving = await serve({ data, udp: anyPort, http: anyPort });
  url = `http://${serving.http}`;
  tokenFile = join(data, 'admin-token');
  end = async () => {
    await serving.stop();
    await rm(data, { recursive: true });
  };
}
const token = (await readFile(tokenFile ?? './data/admin-token', 'utf8')).trim();

/** One request. Amounts and handles are strings in JSON, since its numbers end at 2^53. */
async function request(method, path, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(new URL(path, url), { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  // Every error has a stable code for programs and a message for people.
  if (answer.error) console.log(`${method} ${path}: ${response.status} ${answer.error.code}: ${answer.error.message}`);
  return answer;
}

const { ready } = await request('GET', '/readyz');
console.log(`ready: ${ready}`);

const ledgerChannelId = randomBytes(32).toString('hex');
const { publicKey } = generateKey();
const { channelId } = await request('POST', '/channels', { ledgerChannelId, publicKey, capacity: '1000000' });
const toppedUp = await request('PATCH', `/channels/${channelId}`, { capacity: '2000000' });
console.log(`capacity: ${toppedUp.capacity} drops`);
const { state, committed } = await request('GET', `/channels/${ledgerChannelId}`);
console.log(`channel: ${state}, ${committed} drops committed`);
await request('GET', '/channels/1');

const { backend, channels, counters } = await request('GET', '/stats');
console.log(`stats: backend ${backend}, ${channels} channels, ${counters.committed} claims committed`);

console.log(`closed: ${(await request('DELETE', `/channels/${channelId}`)).state}`);
console.log(`removed: ${(await request('POST', '/channels/remove', { ids: [channelId] })).removed}`);
await end();
