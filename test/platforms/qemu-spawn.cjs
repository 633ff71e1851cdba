/**
 * For a Node.js of another architecture under qemu-user: what it starts as itself (process.execPath) is started by qemu as
 * well, since no kernel here knows such programs. Required by NODE_OPTIONS; QEMU holds qemu and its arguments.
 */
const childProcess = require('node:child_process');
const { syncBuiltinESMExports } = require('node:module');

const [qemu, ...before] = process.env.QEMU.split(' ');
const { spawn } = childProcess;
childProcess.spawn = (command, args, options) =>
  command === process.execPath ? spawn(qemu, [...before, command, ...args], options) : spawn(command, args, options);
syncBuiltinESMExports();
