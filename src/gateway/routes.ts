/**
 * Which request costs what: rules of path and method, the first that fits. Pure.
 */
import { DROPS_MAX } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';

/** What a price is for: the whole answer, each byte of its body, or each event of its event stream. */
const PRICE_UNITS = ['request', 'byte', 'event'] as const;
/** What a price is for. */
export type PriceUnit = (typeof PRICE_UNITS)[number];

/** What a route costs. */
export interface Price {
  /** Drops; 0 is free. */
  drops: bigint;
  per: PriceUnit;
  /** Bytes or events that are paid for ahead, and what of them was not sent is given back. 1 for `request`. */
  ahead: number;
}

/** A line of the file of routes, as JSON. */
export interface RouteRule {
  /** `/exact`, or `/prefix/*` for all below it; `*` alone is every path. */
  path: string;
  /** One method, or several; all by default. */
  method?: string | string[];
  /** Drops, a decimal string or a whole number; "0" is free. */
  price: string | number;
  /** Default `request`. */
  per?: PriceUnit;
  /** Default 65536 bytes, or 16 events. */
  ahead?: number;
}

interface Route {
  path: string;
  /** The same in lower case and without a slash at its end, for routes with a price: many servers take these for one. */
  loose: string | undefined;
  isPrefix: boolean;
  methods: readonly string[] | undefined;
  price: Price;
}

const RULES_MAX = 1_000;
const FIELDS = ['path', 'method', 'price', 'per', 'ahead'];
const AHEAD_DEFAULT = { request: 1, byte: 65_536, event: 16 } as const;
const AHEAD_MAX = 1 << 30;
/** What is asked ahead must be an amount that the ledger knows. */
const PRICE_MAX = DROPS_MAX;

/** The prices of a service, by method and path. */
export class Routes {
  readonly #routes: readonly Route[];

  private constructor(routes: readonly Route[]) {
    this.#routes = routes;
  }

  /** Whether every path has one price, so that no other spelling of one is cheaper. */
  get isFlat(): boolean {
    return this.#routes.length === 1 && this.#routes[0]!.path === '/' && this.#routes[0]!.methods === undefined;
  }

  /** One price for all. */
  static flat(drops: bigint): Routes {
    return new Routes([routeOf({ path: '*', price: String(drops) }, 'price')]);
  }

  /** Rules from parsed JSON. `otherwise` is the price of what no rule names; without it, that is not found. */
  static parse(rules: unknown, otherwise?: bigint): Routes {
    if (!Array.isArray(rules) || rules.length > RULES_MAX)
      return invalid('routes', `an array of at most ${RULES_MAX} rules`, rules);
    const routes = rules.map((rule, index) => routeOf(rule, `routes[${index}]`));
    if (otherwise !== undefined) routes.push(routeOf({ path: '*', price: String(otherwise) }, 'price'));
    return new Routes(routes);
  }

  /** The price of a request, or undefined where nothing is. @param path without its query */
  find(method: string, path: string): Price | undefined {
    const lower = path.toLowerCase();
    for (const route of this.#routes) {
      const { loose } = route;
      const isIts =
        loose === undefined ? fits(route, route.path, path) : fits(route, loose, lower) || lower === `${loose}/`;
      if (isIts && (route.methods === undefined || route.methods.includes(method))) return route.price;
    }
    return undefined;
  }
}

function fits({ isPrefix }: Route, rule: string, path: string): boolean {
  return isPrefix ? path.startsWith(rule) : path === rule;
}

/** What a request pays before it is forwarded. */
export function priceAhead({ drops, ahead }: Price): bigint {
  return drops * BigInt(ahead);
}

/**
 * The path of a request by which its price is found, or undefined where servers may understand it in different ways: with
 * another spelling the dear resource must not become the free one.
 */
export function plainPath(target: string): string | undefined {
  const end = target.search(/[?#]/);
  const raw = end < 0 ? target : target.slice(0, end);
  if (!raw.startsWith('/')) return undefined;
  let path = raw;
  if (raw.includes('%')) {
    // An encoded slash, backslash, dot or percent sign is one path to some servers and another to others.
    if (/%(?:2f|5c|2e|25|00)/i.test(raw)) return undefined;
    try {
      path = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
  }
  return /\/\/|\\|\/\.{1,2}(?:\/|$)|;/.test(path) ? undefined : path;
}

function routeOf(value: unknown, name: string): Route {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return invalid(name, 'an object', value);
  for (const field of Object.keys(value))
    if (!FIELDS.includes(field)) return invalid(name, `only ${FIELDS.join(', ')}`, field);
  const { path, method, price, per = 'request', ahead } = value as Partial<RouteRule>;
  if (typeof path !== 'string' || (path !== '*' && plainPath(path) === undefined) || path.slice(0, -1).includes('*'))
    return invalid(`${name}.path`, 'a path like /file or /folder/*', path);
  const methods = method === undefined ? undefined : [method].flat();
  if (methods?.some((word) => typeof word !== 'string' || !/^[A-Z]+$/.test(word)))
    return invalid(`${name}.method`, 'methods like GET', method);
  const text = typeof price === 'number' && Number.isSafeInteger(price) ? String(price) : price;
  if (typeof text !== 'string' || !/^(0|[1-9][0-9]{0,17})$/.test(text))
    return invalid(`${name}.price`, 'drops, like "25"', price);
  if (!PRICE_UNITS.includes(per)) return invalid(`${name}.per`, PRICE_UNITS.join(', '), per);
  const units = ahead ?? AHEAD_DEFAULT[per];
  if (!Number.isSafeInteger(units) || units < 1 || units > AHEAD_MAX || (per === 'request' && units !== 1))
    return invalid(`${name}.ahead`, `1..${AHEAD_MAX} bytes or events`, ahead);
  const found: Price = { drops: BigInt(text), per, ahead: units };
  if (priceAhead(found) > PRICE_MAX) return invalid(`${name}.price`, 'a price that a channel can pay', price);
  const isPrefix = path.endsWith('*');
  const prefix = path === '*' ? '/' : isPrefix ? path.slice(0, -1) : path;
  const loose =
    found.drops === 0n ? undefined : isPrefix ? prefix.toLowerCase() : prefix.toLowerCase().replace(/\/$/, '');
  return { path: prefix, loose, isPrefix, methods: methods as string[] | undefined, price: found };
}

function invalid(field: string, expected: string, actual: unknown): never {
  const got = JSON.stringify(actual) ?? 'nothing';
  const message = `${field}: expected ${expected}, got ${got.slice(0, 80)}`;
  throw new ClaimwireError('CONFIG_INVALID', message, { setting: field });
}
