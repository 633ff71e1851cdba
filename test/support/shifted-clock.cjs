/* Preloaded into a node by tests (--require, in every thread): the wall clock is off by the milliseconds that the file
 * $CLAIMWIRE_TEST_CLOCK holds. */
const { readFileSync } = require('node:fs');

const now = Date.now;
let shift = 0;
let readAt = 0;
Date.now = () => {
  if (now() - readAt > 20) {
    readAt = now();
    try {
      shift = Number(readFileSync(process.env.CLAIMWIRE_TEST_CLOCK, 'utf8'));
    } catch {
      shift = 0;
    }
  }
  return now() + shift;
};
