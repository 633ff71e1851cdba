/** A mutation: one place of the source made wrong on purpose, and the test that must notice. Plain data. */

/** A test of vitest, by its file and a part of its title; or a program of src/native/Makefile, by what it prints. */
export type Killer =
  | { readonly file: string; readonly title: string; readonly needs?: 'postgres' }
  | { readonly program: string; readonly says: string };

export interface Mutation {
  /** Lower case and hyphens. */
  readonly name: string;
  readonly file: string;
  /** A text that the file has exactly once, and what stands there instead. The mutant compiles. */
  readonly find: string;
  readonly put: string;
  /** What the node would do: a sentence for people. */
  readonly harm: string;
  readonly killer: Killer;
}

/** The file's text with the mutation. Throws Error where the text to replace is not there exactly once. */
export function mutate(text: string, { name, file, find, put }: Mutation): string {
  const places = text.split(find).length - 1;
  if (places !== 1)
    throw new Error(
      `mutation ${name}: expected its text exactly once in ${file}, got it ${places} times; give it a text that is there now: ${JSON.stringify(find)}`,
    );
  return text.replace(find, () => put);
}

export function isC({ file }: Pick<Mutation, 'file'>): boolean {
  return /\.[ch]$/.test(file);
}

/** What kills it, for people. */
export function killerText(killer: Killer): string {
  return 'program' in killer ? `${killer.program}: ${killer.says}` : `${killer.file}: ${killer.title}`;
}
