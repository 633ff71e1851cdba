/** The names of the targets: files of test/fuzz/targets. */
export const TARGETS = ['datagrams', 'frames', 'merkle', 'control', 'http', 'journal', 'registry', 'hot-keys'];
