/* Tests preload this into every thread of a node (--require): it shifts the wall clock by the milliseconds in the file
 * $CLAIMWIRE_TEST_CLOCK. */
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
