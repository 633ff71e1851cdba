/**
 * Puts what a program or a thread imports of this package into few files, in dist/: a node is several threads, and each finds,
 * reads and compiles its own copy of every file. A command of the command line stays apart from the others, to be loaded when
 * it runs. Other packages stay imports, but for those below. What programs import, dist/src and dist/protocol, stays as it was compiled.
 */
import { dirname, relative, resolve } from 'node:path';

const THREADS = ['dist/src/threads/boot.js', 'dist/src/load/generator-thread.js', 'dist/src/web/main.js'];
/** All other packages but those that every thread runs: finding, reading and linking their files takes a thread 10 ms. */
const NOT_IN_THREADS = /^(?!@noble\/|msgpackr\/)[^./]/;
const LICENCES =
  '/*! With @noble/hashes and @noble/secp256k1, (c) Paul Miller, and msgpackr, (c) Kris Zyp: MIT License. */';
const PROGRAMS = ['cli', 'program', 'make-vectors', 'kernel-layout'];

/** A file that looks for others from its own place goes on doing so from its new one, in `folder`. */
const fromItsPlace = (folder) => ({
  name: 'from-its-place',
  transform(code, id) {
    const place = relative(resolve(folder), id);
    return code
      .replaceAll('import.meta.url', `new URL('${place}', import.meta.url).href`)
      .replaceAll('import.meta.dirname', `(import.meta.dirname + '/${dirname(place)}')`);
  },
});

const bundle = (folder, input, output, external = /^[^./]/) => ({
  input,
  platform: 'node',
  external,
  plugins: [fromItsPlace(folder)],
  output: { ...output, format: 'esm' },
});

export default [
  // With what is imported when it is needed: apart, it would have errors and classes of its own.
  ...THREADS.map((file) =>
    bundle(dirname(file), file, { file, codeSplitting: false, banner: LICENCES }, NOT_IN_THREADS),
  ),
  bundle(
    'dist/tools',
    PROGRAMS.map((name) => `dist/tools/${name}.js`),
    { dir: 'dist/tools', cleanDir: true, chunkFileNames: '[name].js' },
  ),
];
