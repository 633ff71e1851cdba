/**
 * The token that signatures are asked for with. It is kept for this tab alone, until the tab is closed or it is forgotten, and
 * leaves the page as a header only, never in an address.
 */
import { byId, setText } from './dom.ts';

const NAME = 'claimwire-token';
const WARNING =
  'The token is kept in this tab until the tab is closed. Whoever uses this tab can read signatures: forget it when you leave.';
const NONE = 'Rows are shown without a token; the signature of a best claim, and its export, need one of scope read.';

let token = sessionStorage.getItem(NAME) ?? '';

export function tokenHeaders(): Record<string, string> {
  return token === '' ? {} : { authorization: `Bearer ${token}` };
}

export function hasToken(): boolean {
  return token !== '';
}

/** Asks for the token: moves to its field. */
export function askForToken(): void {
  byId('token').focus();
}

function show(fault = ''): void {
  const note = byId('token-note');
  setText(note, fault !== '' ? fault : hasToken() ? WARNING : NONE);
  note.classList.toggle('bad', fault !== '');
  byId('token').setAttribute('aria-invalid', String(fault !== ''));
  byId('token-forget').hidden = !hasToken();
}

/** Why the node does not take a token; empty where it does. */
async function faultOf(candidate: string): Promise<string> {
  // No header can carry other characters.
  if (!/^[\x21-\x7e]+$/.test(candidate)) return 'The token has characters that no token has; copy it again.';
  const end = new AbortController();
  try {
    const { status } = await fetch('/events', {
      headers: { authorization: `Bearer ${candidate}` },
      signal: end.signal,
      cache: 'no-store',
    });
    if (status === 401)
      return 'The node does not know this token. "claimwire token create" makes one, for example of scope read.';
    if (status === 403)
      return 'This token is not allowed to read. Make one of scope read with "claimwire token create".';
    return '';
  } catch {
    return 'The node did not answer, so the token was not checked. Try again when it is connected.';
  } finally {
    end.abort();
  }
}

/** @param onChange called when there is another token, or none any more */
export function startToken(onChange: () => void): void {
  const field = byId<HTMLInputElement>('token');
  const keep = (next: string) => {
    token = next;
    if (next === '') sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, next);
    field.value = '';
    show();
    onChange();
  };
  byId('token-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const candidate = field.value.trim();
    if (candidate === '') return;
    const fault = await faultOf(candidate);
    if (fault === '') keep(candidate);
    else show(fault);
  });
  byId('token-forget').addEventListener('click', () => {
    keep('');
    field.focus();
  });
  show();
}
