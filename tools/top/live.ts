/** `claimwire top` on a terminal: draws what is known of the node, and does what keys ask for. */
import { setTimeout as pause } from 'node:timers/promises';
import type { AdminClient } from '../../src/http/client.ts';
import type { Sample } from '../../src/metrics/sample.ts';
import { readChannels, SORTS } from './channels.ts';
import { follow, type Look } from './samples.ts';
import { screenLines, type View } from './screen.ts';
import type { openTerminal, Terminal } from './terminal.ts';

/** Looks that are kept: a bar each, and no terminal is wider. */
const HISTORY_LOOKS = 240;
const CHANNELS_EVERY_MS = 5_000;

export interface LiveOptions {
  admin: Pick<AdminClient, 'samples' | 'stats' | 'channels' | 'largestChannels'>;
  http: string;
  inColour: boolean;
  open: typeof openTerminal | ((events: Parameters<typeof openTerminal>[0]) => Terminal);
}

class LiveView implements View {
  readonly http: string;
  sample: Sample | undefined;
  history: Sample[] = [];
  stats: View['stats'];
  channels: View['channels'];
  isPaused = false;
  lost: string | undefined;
  hasHelp = false;
  sort = 0;

  constructor(http: string) {
    this.http = http;
  }

  /** While it is paused the history goes on, so that nothing is missing from it afterwards. */
  add(sample: Sample): void {
    this.history = [...this.history, sample].slice(-HISTORY_LOOKS);
    if (!this.isPaused) this.sample = sample;
  }
}

/** Runs until a key or a signal ends it. Resolves to the exit code. Rejects where the node cannot be reached at first. */
export async function runLive({ admin, http, inColour, open }: LiveOptions): Promise<number> {
  const ended = new AbortController();
  const view = new LiveView(http);
  const looks = follow(admin, { history: HISTORY_LOOKS, signal: ended.signal });
  // The first look comes before the terminal is taken: an error is then a line that stays.
  const first = await looks.next();
  if (first.done) return 0;
  const terminal = open({
    onKey: (keys) => {
      // A sequence that begins with Escape is an arrow or another key without a letter.
      for (const key of keys.startsWith('\x1b') ? [] : keys) onKey(key, view, ended, draw, () => void refresh());
    },
    onRedraw: () => draw(),
    onEnd: () => ended.abort(),
  });
  const draw = () => {
    if (!ended.signal.aborted) terminal.draw(screenLines(view, terminal.columns, terminal.rows, inColour));
  };
  let isDue = false;
  /** Looks of the past come together, and are drawn as one. By the node's clock they could not be told: it may be another. */
  const drawSoon = () => {
    if (isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      draw();
    });
  };
  const refresh = async () => {
    // What fails here, fails at the feed too, which tells it.
    view.channels = await readChannels(admin, SORTS[view.sort]!).catch(() => view.channels);
    draw();
  };
  const keepChannels = async () => {
    while (!ended.signal.aborted) {
      view.stats ??= await admin.stats().catch(() => undefined);
      if (!view.isPaused) await refresh();
      await pause(CHANNELS_EVERY_MS, undefined, { signal: ended.signal }).catch(() => {});
    }
  };
  try {
    void keepChannels();
    for (let look: IteratorResult<Look, void> = first; !look.done; look = await looks.next()) {
      if ('lost' in look.value) view.lost = look.value.lost;
      else {
        view.lost = undefined;
        view.add(look.value.sample);
      }
      drawSoon();
    }
    return 0;
  } finally {
    ended.abort();
    terminal.leave();
  }
}

function onKey(key: string, view: LiveView, ended: AbortController, draw: () => void, refresh: () => void): void {
  if (key === 'q' || key === 'Q') ended.abort();
  else if (key === 'p' || key === ' ') {
    view.isPaused = !view.isPaused;
    if (!view.isPaused) view.sample = view.history.at(-1);
  } else if (key === '?' || key === 'h') view.hasHelp = !view.hasHelp;
  else if (key === 's') {
    view.sort = (view.sort + 1) % SORTS.length;
    refresh();
  } else return;
  draw();
}
