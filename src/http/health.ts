/** GET /healthz, /readyz and /stats, for those who watch a node. Main thread. */
import type { NodeControl } from '../control/node-control.ts';
import { readHiccups } from '../native/hiccups.ts';
import type { Ledger } from './ledger.ts';
import { sendJson } from './message.ts';
import type { Route } from './route.ts';

const get = (path: string, answer: Route['answer']): Route => {
  return { method: 'GET', path, scope: undefined, takesBody: false, answer };
};

/** @param http counters of the admin server itself */
export function healthRoutes(control: NodeControl, http: object, ledger: Ledger | undefined): Route[] {
  return [
    get('/healthz', ({ response }) => sendJson(response, 200, { status: 'ok' })),
    get('/readyz', ({ response }) => sendJson(response, control.ready ? 200 : 503, { ready: control.ready })),
    get('/stats', ({ response }) =>
      sendJson(response, 200, {
        ...control.stats(),
        http,
        ledger: ledger?.health() ?? null,
        hiccups: readHiccups() ?? null,
      }),
    ),
  ];
}
