/** AbortSignals of the client's promises. Payer's thread. */

/** An option of every method of the client that returns a promise. */
export interface Abortable {
  /** Ends the wait: the promise is rejected with the signal's reason. What was sent already may still be committed. */
  signal?: AbortSignal | undefined;
}

/** Resolves as `work` does, or rejects with the signal's reason as soon as it is aborted; then `late` gets the result. */
export async function abortable<Result>(
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
  late: (result: Result) => unknown = () => {},
): Promise<Result> {
  if (signal === undefined) return await work();
  signal.throwIfAborted();
  const working = work();
  return await new Promise<Result>((resolve, reject) => {
    const abort = () => {
      working.then(late, () => {});
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    working.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
