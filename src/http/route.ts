/**
 * A route of the admin server, and how a request finds its own. Main thread.
 *
 * Each subject has a file that makes its routes: channels.ts, health.ts and so on. protocol/openapi.json describes them all,
 * and a test holds the two together.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access, Scope } from '../control/access.ts';
import type { AdminConnection } from './connection.ts';
import { HttpRefusal } from './message.ts';

type Method = 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'DELETE';

/** One request, once its host, its route and its token are checked. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** What stands for {id} in the path; empty where the path has none. */
  readonly id: string;
  /** What the request's own token allows; undefined without a known one. */
  readonly access: Access | undefined;
  readonly connection: AdminConnection;
  /** Whether the token still allows what it did: for answers that last. */
  isStillAllowed(): boolean;
}

export interface Route {
  readonly method: Method;
  /** As the OpenAPI file has it: {id} stands for one part of the path. */
  readonly path: string;
  /** What the request's token must allow; undefined: none is needed. */
  readonly scope: Scope | undefined;
  /** A body sent to any other route is refused: nobody would read it, and it may have no end. */
  readonly takesBody: boolean;
  /** Its answer may come a minute later, since it waits for an amount or a ledger. */
  readonly mayWait?: boolean;
  answer(call: Call): Promise<void> | void;
}

export class Router {
  readonly routes: readonly Route[];
  readonly #paths: { path: string; pattern: RegExp; routes: Map<string, Route> }[] = [];

  /** A path without {id} goes before one with it, whatever their order. */
  constructor(routes: readonly Route[]) {
    this.routes = routes;
    for (const route of routes.toSorted((a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')))) {
      let known = this.#paths.find(({ path }) => path === route.path);
      if (known === undefined) {
        const pattern = new RegExp(`^${route.path.replace('{id}', '([^/]+)')}$`);
        known = { path: route.path, pattern, routes: new Map() };
        this.#paths.push(known);
      }
      known.routes.set(route.method, route);
    }
  }

  /** Throws HttpRefusal 404 for an unknown path, and 405, with the header allow, for a method that the path has not. */
  find(method: string, path: string, response: ServerResponse): { route: Route; id: string } {
    for (const { pattern, routes } of this.#paths) {
      const found = pattern.exec(path);
      if (found === null) continue;
      const route = routes.get(method);
      if (route !== undefined) return { route, id: found[1] ?? '' };
      const allowed = [...routes.keys()].join(', ');
      response.setHeader('allow', allowed);
      throw new HttpRefusal(405, `method: expected ${allowed}, got ${method}`);
    }
    const known = this.#paths.map((each) => each.path.replace('{id}', 'ID')).join(', ');
    throw new HttpRefusal(404, `path: expected one of ${known}`);
  }
}
