/**
 * Parses JSON from outside, with a limit on its nesting: valid input here is at most an array of flat objects. Any thread.
 *
 * V8 parses any depth, but functions that walk the value later, like JSON.stringify, recurse and overflow the stack.
 */
import { ClaimwireError } from '../errors.ts';

const DEPTH_MAX = 8;
const SHOWN_CHARACTERS_MAX = 60;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Throws INPUT_INVALID for text that is not JSON, or nested deeper than DEPTH_MAX. The message begins with `what`. */
export function parseJson(text: string, what: string): unknown {
  if (depthOf(text) > DEPTH_MAX)
    throw new ClaimwireError('INPUT_INVALID', `${what}: expected JSON nested at most ${DEPTH_MAX} deep, got deeper`);
  try {
    return JSON.parse(text);
  } catch {
    const shown = text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`;
    throw new ClaimwireError('INPUT_INVALID', `${what}: expected JSON, got ${JSON.stringify(shown)}`);
  }
}

/** How deep brackets outside of strings are nested; for text that is not JSON, any number. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isString) {
      if (code === BACKSLASH) at++;
      else if (code === QUOTE) isString = false;
    } else if (code === QUOTE) isString = true;
    // The codes of [ and ] (5b, 5d) and of { and } (7b, 7d) differ in one bit.
    else if ((code | 0x20) === 0x7b) deepest = Math.max(deepest, ++depth);
    else if ((code | 0x20) === 0x7d) depth--;
  }
  return deepest;
}
