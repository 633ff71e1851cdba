/** AbortSignals of what goes on by itself: the signal ends one caller's wait, not the work. Any thread. */

/** Resolves as `work` does, or rejects with the signal's reason as soon as it is aborted, and leaves the work alone. */
export function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
