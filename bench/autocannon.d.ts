/** The parts of autocannon's interface that are used here; the package has no types. */
declare module 'autocannon' {
  interface Options {
    url: string;
    connections: number;
    /** Seconds. */
    duration: number;
    requests: {
      method: string;
      headers?: Record<string, string>;
      body?: Buffer;
      /** Called for each request that is sent. */
      setupRequest?: (request: { headers: Record<string, string> }) => { headers: Record<string, string> };
    }[];
  }
  interface Result {
    /** Seconds that it took. */
    duration: number;
    errors: number;
    timeouts: number;
    non2xx: number;
    /** By status code. */
    statusCodeStats: Record<string, { count: number }>;
    '2xx': number;
    /** Milliseconds, whole. */
    latency: { p50: number; p99: number };
  }
  export default function autocannon(options: Options): Promise<Result>;
}
