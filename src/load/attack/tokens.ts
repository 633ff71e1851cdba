/** Guesses admin tokens by HTTP, several connections at once, and counts the answers by status. Attack's thread. */
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { HostPort } from '../../host-port.ts';
import type { Random } from '../random.ts';

export interface TokensOptions {
  target: HostPort;
  connections: number;
  random: Random;
  /** Requests a second. */
  rate: number | null;
  durationMs: number;
}

export interface TokensResult {
  requests: number;
  /** Answers by HTTP status; `failed`: the connection ended without one. */
  answered: Record<string, number>;
  seconds: number;
}

const TOKEN_BYTES = 32;
const REQUEST_MS_MAX = 5_000;

export class TokensAttack {
  readonly #options: TokensOptions;
  readonly #result: TokensResult = { requests: 0, answered: {}, seconds: 0 };
  isStopped = false;

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  async run(): Promise<TokensResult> {
    const { connections, durationMs, rate } = this.#options;
    const agent = new Agent({ keepAlive: true, maxSockets: connections });
    const startedAt = performance.now();
    const elapsedMs = () => performance.now() - startedAt;
    const guess = async () => {
      while (!this.isStopped && elapsedMs() < durationMs) {
        const dueMs = rate === null ? 0 : (this.#result.requests / rate) * 1_000;
        if (dueMs > elapsedMs()) {
          await pause(Math.min(100, dueMs - elapsedMs()));
          continue;
        }
        this.#result.requests++;
        const status = await this.#ask(agent);
        this.#result.answered[status] = (this.#result.answered[status] ?? 0) + 1;
        // The next one begins in a turn of its own, or a node that is gone would keep this thread.
        if (status === 'failed') await pause(10);
      }
    };
    await Promise.all(Array.from({ length: connections }, guess));
    agent.destroy();
    this.#result.seconds = elapsedMs() / 1_000;
    return this.#result;
  }

  #ask(agent: Agent): Promise<string> {
    const { target, random } = this.#options;
    const token = Buffer.from(Array.from({ length: TOKEN_BYTES }, () => random.below(256))).toString('hex');
    const body = '[]';
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': body.length,
    };
    return new Promise((done) => {
      const asked = request(
        { ...target, agent, method: 'POST', path: '/channels', headers, timeout: REQUEST_MS_MAX },
        (response) => {
          response.resume();
          response.on('end', () => done(String(response.statusCode)));
          response.on('error', () => done('failed'));
        },
      );
      asked.on('timeout', () => asked.destroy());
      asked.on('error', () => done('failed'));
      asked.end(body);
    });
  }
}
