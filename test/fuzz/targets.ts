/** The names of the targets: files of test/fuzz/targets. */
export const TARGETS = ['datagrams', 'frames', 'control', 'http', 'journal', 'registry'];
