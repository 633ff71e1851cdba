/**
 * ripple-keypairs' signing and checking, each answer computed once: tests that repeat a story hundreds of times sign the same
 * transactions again. Both are pure, as nonces come from the message and the key (RFC 6979).
 */
import { sign as signAnew, verify as verifyAnew } from 'ripple-keypairs';

const KEPT_MAX = 4_096;

function once<Answer>(compute: (...texts: string[]) => Answer): (...texts: string[]) => Answer {
  const kept = new Map<string, Answer>();
  return (...texts) => {
    const key = texts.join(' ');
    const known = kept.get(key);
    if (known !== undefined) return known;
    const answer = compute(...texts);
    if (kept.size >= KEPT_MAX) kept.clear();
    kept.set(key, answer);
    return answer;
  };
}

export const sign: typeof signAnew = once(signAnew as (...texts: string[]) => string);
export const verify: typeof verifyAnew = once(verifyAnew as (...texts: string[]) => boolean);
