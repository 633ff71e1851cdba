/**
 * What a token lets its holder do: its scope, and the channels that it is for. Main thread.
 */
import { ClaimwireError } from '../errors.ts';

/** Each scope includes those before it. */
const SCOPES = ['read', 'charge', 'admin'] as const;
/**
 * `read`: rows with their signatures, waiting for amounts, events. `charge`: charges and refunds too. `admin`: all that an
 * operator may do.
 */
export type Scope = (typeof SCOPES)[number];

export interface Access {
  readonly scope: Scope;
  /** For the operator, who gave the token this name. */
  readonly name: string;
  /** The channels that the token is for; null: all of them. */
  readonly channels: ReadonlySet<bigint> | null;
}

/** Whether a token of this access, or none, will do where `scope` is needed. */
export function covers(access: Access | undefined, scope: Scope): boolean {
  return access !== undefined && SCOPES.indexOf(access.scope) >= SCOPES.indexOf(scope);
}

/** Whether the token is for this channel. */
export function includes(access: Access, channelId: bigint): boolean {
  return access.channels === null || access.channels.has(channelId);
}

/** Throws UNAUTHORIZED without a known token, and FORBIDDEN where its scope is too small. */
export function expectScope(access: Access | undefined, scope: Scope): void {
  if (covers(access, scope)) return;
  const enough = SCOPES.slice(SCOPES.indexOf(scope)).join(' or ');
  if (access !== undefined)
    throw new ClaimwireError(
      'FORBIDDEN',
      `authorization: expected a token of scope ${enough}, got one of scope ${access.scope}`,
      { expected: scope, scope: access.scope },
    );
  const where =
    scope === 'admin'
      ? 'the token in DIR/admin-token'
      : `a token of scope ${enough}, which "claimwire token create" makes`;
  throw new ClaimwireError('UNAUTHORIZED', `authorization: expected "Bearer" and ${where}`, { expected: scope });
}

/** Throws FORBIDDEN where the token is for other channels. */
export function expectChannel(access: Access, channelId: bigint): void {
  if (includes(access, channelId)) return;
  throw new ClaimwireError(
    'FORBIDDEN',
    `authorization: expected a token for channel ${channelId}, got one for ${access.channels?.size} others`,
    { channelId: String(channelId) },
  );
}
