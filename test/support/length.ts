/** How much a test of random cases does: `make test` takes the first, `make test-long` the second. */
export const brieflyOrAtLength = (brief: number, long: number): number =>
  process.env.CLAIMWIRE_TEST_LENGTH === 'long' ? long : brief;
