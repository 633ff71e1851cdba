/** GET /metrics, for Prometheus. Main thread. */
import { CONTENT_TYPES, type Exposition, formatOf } from '../metrics/exposition.ts';
import { sendText } from './message.ts';
import type { Route } from './route.ts';

/** @param http counters of the admin server itself */
export function metricsRoutes(exposition: Exposition, http: Readonly<Record<string, number>>): Route[] {
  return [
    {
      method: 'GET',
      path: '/metrics',
      scope: undefined,
      takesBody: false,
      answer: async ({ request, response }) => {
        const format = formatOf(request.headers.accept);
        sendText(response, 200, CONTENT_TYPES[format], await exposition.text(format, http));
      },
    },
  ];
}
