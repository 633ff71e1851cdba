/**
 * Loaded into every process and thread of a coverage run (`node --require`): where build/claimwire.node is asked for, it gives the one
 * that counts which of its lines ran.
 */
const { resolve } = require('node:path');

const ROOT = resolve(__dirname, '../..');
const open = process.dlopen;
process.dlopen = (module, path, ...flags) => {
  const isOurs = resolve(path) === resolve(ROOT, 'build/claimwire.node');
  return open.call(process, module, isOurs ? resolve(ROOT, 'build/coverage/claimwire.node') : path, ...flags);
};
