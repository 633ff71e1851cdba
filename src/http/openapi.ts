/** GET /openapi.json: the description of this interface, protocol/openapi.json, for tools that make clients of it. Main thread. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Route } from './route.ts';

const here = import.meta.dirname;
let text: string | undefined;

export function openapiRoutes(): Route[] {
  const answer: Route['answer'] = ({ response }) => {
    text ??= readFileSync(openapiPath(), 'utf8');
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'x-content-type-options': 'nosniff',
    });
    response.end(text);
  };
  return [{ method: 'GET', path: '/openapi.json', scope: undefined, takesBody: false, answer }];
}

/** The file beside the sources, which is published: as seen from the compiled code, and from the source. */
function openapiPath(): string {
  const paths = ['../../../protocol/openapi.json', '../../protocol/openapi.json'].map((path) => join(here, path));
  const path = paths.find((each) => existsSync(each));
  if (path === undefined) throw new Error('expected protocol/openapi.json, got none');
  return path;
}
