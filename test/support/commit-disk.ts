/** When the commits of a registry or of side tables in memory are durable: in the next turn, or as a simulator says. */
export interface CommitDisk {
  /** Calls `apply` once, when the commit is durable, and resolves then; rejects where it fails, with what `apply` throws too. */
  later(apply: () => void): Promise<void>;
  /** The same for a commit that its caller waits for. */
  now(apply: () => void): void;
}

export const NEXT_TURN: CommitDisk = {
  async later(apply) {
    await new Promise(setImmediate);
    apply();
  },
  now: (apply) => apply(),
};
