/** "Did you mean": finds the word that is nearest to a mistyped one. */

/** A word at a greater distance is a different word, not a mistyped one. */
const DISTANCE_MAX = 3;

/** `; did you mean "X"?`, or nothing where no candidate is near. */
export function didYouMean(word: string, candidates: readonly string[], quote = '"'): string {
  let nearest: string | undefined;
  // At least half of the letters have to be right.
  let limit = Math.min(DISTANCE_MAX, Math.floor(word.length / 2)) + 1;
  for (const candidate of candidates) {
    const far = distance(word, candidate);
    if (far >= limit) continue;
    nearest = candidate;
    limit = far;
  }
  return nearest === undefined ? '' : `; did you mean ${quote}${nearest}${quote}?`;
}

/** The number of letters to insert, remove, replace or swap with their neighbour (the restricted Damerau–Levenshtein distance). */
function distance(from: string, to: string): number {
  let older: number[] = [];
  let old = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const next = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let best = Math.min(old[column - 1]! + (same ? 0 : 1), old[column]! + 1, next[column - 1]! + 1);
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (row > 1 && column > 1 && swapped) best = Math.min(best, older[column - 2]! + 1);
      next.push(best);
    }
    older = old;
    old = next;
  }
  return old[to.length]!;
}
