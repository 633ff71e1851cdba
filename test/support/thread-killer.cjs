/**
 * Preloaded into a node by tests (node --require): at SIGUSR2 the first thread of the role that the environment names is ended
 * where it stands, as a fault in it would. The product has no such seam.
 */
const threads = require('node:worker_threads');
const { syncBuiltinESMExports } = require('node:module');

const workers = [];
threads.Worker = class extends threads.Worker {
  constructor(file, options) {
    super(file, options);
    workers.push({ worker: this, role: options?.name });
  }
};
syncBuiltinESMExports();
process.on('SIGUSR2', () => {
  const role = process.env.CLAIMWIRE_TEST_THREAD;
  void workers.find((entry) => entry.role === role)?.worker.terminate();
});
