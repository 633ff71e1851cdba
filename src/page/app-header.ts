/** What the page says of its connection: live, stale or lost, in the header and in a banner. */
import { byId, setText } from './dom.ts';
import { durationText } from './units.ts';

/** Without a sample for so long the figures are old: one comes every second. */
const STALE_MS = 3_500;

type State = 'connecting' | 'live' | 'unready' | 'stale' | 'lost';
const STATE_TEXT: Record<State, string> = {
  connecting: 'Connecting',
  live: 'Live',
  unready: 'Not ready',
  stale: 'Stale',
  lost: 'Disconnected',
};

export class AppHeader {
  #state: State = 'connecting';
  /** When the last sample came, by the browser's clock. */
  #sampleAt: number | undefined;
  #lost: { reason: string; nextAt: number } | undefined;

  constructor() {
    setInterval(() => this.#show(), 500);
  }

  sample(isReady: boolean): void {
    this.#sampleAt = Date.now();
    this.#lost = undefined;
    this.#set(isReady ? 'live' : 'unready');
    this.#show();
  }

  lost(reason: string, nextAt: number): void {
    this.#lost = { reason, nextAt };
    this.#set('lost');
    this.#show();
  }

  #set(state: State): void {
    this.#state = state;
    document.body.dataset.connection = state;
    // It is read out when it changes, and not while it stays.
    setText(byId('status-text'), STATE_TEXT[state]);
  }

  #show(): void {
    const age = this.#sampleAt === undefined ? undefined : Date.now() - this.#sampleAt;
    if (this.#lost === undefined && age !== undefined && age > STALE_MS && this.#state !== 'stale') this.#set('stale');
    const banner = byId('banner');
    banner.hidden = this.#state !== 'stale' && this.#state !== 'lost';
    if (!banner.hidden) setText(banner, this.#bannerText(age));
  }

  #bannerText(age: number | undefined): string {
    const old = age === undefined ? 'Nothing was received yet.' : `What is shown is ${durationText(age / 1e3)} old.`;
    if (this.#lost === undefined) return `${old} The node has not told anything since.`;
    const waitS = Math.max(0, Math.ceil((this.#lost.nextAt - Date.now()) / 1e3));
    return `${this.#lost.reason} ${old} ${waitS === 0 ? 'Connecting again now.' : `Connecting again in ${waitS} s.`}`;
  }
}
