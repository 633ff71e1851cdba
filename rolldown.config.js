/**
 * Puts what a thread's entry imports of this package into the entry's file, in dist/: a node starts several threads, and each
 * finds, reads and compiles its own copy of every file. One file takes half of the time. Other packages stay imports, and so
 * does what few nodes need.
 */
/** Imported when a node's store is PostgreSQL. */
const DATABASE = /[/]postgres[/]database[.]js$/;
const ENTRIES = ['./dist/src/threads/boot.js', './dist/src/load/generator-thread.js'];

export default ENTRIES.map((file) => ({
  input: file,
  platform: 'node',
  external: [/^[^./]/, DATABASE],
  output: { file, format: 'esm' },
}));
