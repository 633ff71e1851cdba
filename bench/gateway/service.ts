/** The service behind the gateway: a short answer, and nothing else. A process of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const BODY = Buffer.from(JSON.stringify({ answer: 42, text: 'what the service sells' }));
const HEAD = { 'content-type': 'application/json', 'content-length': String(BODY.length) };

const server = createServer((_, response) => response.writeHead(200, HEAD).end(BODY));
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());
