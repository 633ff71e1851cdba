/** Keeps a copy of a short answer while it goes out, for a client whose connection breaks and that asks again. Main thread. */
import type { Replies } from './replies.ts';
import type { AnswerHead } from './upstream.ts';
import type { Payment } from './verdict.ts';

/** Told of an answer as it passes; `keep` or `drop` is called once, at its end. */
export interface Recording {
  head(answer: AnswerHead): void;
  body: ((chunk: Buffer) => void) | undefined;
  keep(): void;
  drop(): void;
}

const NOTHING = (): void => {};
const NOT_RECORDED: Recording = { head: NOTHING, body: undefined, keep: NOTHING, drop: NOTHING };

/** @param request method and URL */
export function recordingOf(replies: Replies, request: string, { key, proof }: Payment): Recording {
  if (key === undefined) return NOT_RECORDED;
  const settle = replies.begin({ charge: key, proof, request });
  const { replyBytesMax } = replies.limits;
  let head: AnswerHead | undefined;
  let chunks: Buffer[] = [];
  let bytes = 0;
  return {
    head: (answer) => {
      head = answer;
    },
    body: (chunk) => {
      bytes += chunk.length;
      if (bytes <= replyBytesMax) chunks.push(chunk);
      else chunks = [];
    },
    keep: () => {
      if (head === undefined || bytes > replyBytesMax) return settle();
      settle({ status: head.status, headers: head.headers, body: Buffer.concat(chunks) });
    },
    drop: () => settle(),
  };
}
