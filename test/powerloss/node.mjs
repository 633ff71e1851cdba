/**
 * The node that is recorded, or that starts on an image: what `claimwire node` runs, with segments so small that they roll.
 *
 * argv[2] is its options as JSON. Prints a ready line, and drains on SIGTERM. Runs the compiled tree.
 */
import { serve } from '../../dist/src/serve.js';

const serving = await serve(JSON.parse(process.argv[2]));
process.once('SIGTERM', async () => {
  await serving.stop();
  process.exit(0);
});
serving.node.failed.catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
process.stdout.write(`${JSON.stringify({ udp: serving.node.udp, http: serving.http })}\n`);
