/** One channel in a dialog, and the export of its best claim. */
import { ask, type ChannelRow, exposureOf } from './channel-list.ts';
import { byId, make, setText, showTerms } from './dom.ts';
import { askForToken, hasToken } from './token.ts';
import { dropsText, durationText, xrpText } from './units.ts';

function amountText(drops: string): string {
  return `${dropsText(drops)} drops (${xrpText(drops)})`;
}

function termsOf(row: ChannelRow): (readonly [string, string])[] {
  const { ledger } = row;
  return [
    ['Handle', row.channelId],
    ['Ledger id', row.ledgerChannelId],
    ['Public key', row.publicKey],
    ['Profile', row.profile],
    ['State', row.throwAway ? `${row.state}; a throw-away channel, never redeemed` : row.state],
    ['Ends', row.expiresAt ?? 'never'],
    ['Capacity', amountText(row.capacity)],
    ['Committed', amountText(row.committed)],
    ['Exposure', amountText(String(exposureOf(row)))],
    ...(ledger === undefined
      ? [['On the ledger', 'not watched'] as const]
      : [
          ['Redeemed', amountText(ledger.redeemed)] as const,
          [
            'On the ledger',
            `${ledger.exists ? 'there' : 'GONE'}, seen ${durationText(ledger.ageSeconds)} ago`,
          ] as const,
        ]),
    ['Signature', signatureText(row)],
  ];
}

function signatureText({ signature }: ChannelRow): string {
  if (signature === undefined) return hasToken() ? 'not for this token' : 'needs a token';
  return signature ?? 'none: nothing is committed by a claim to this node';
}

/** All that a payee needs to redeem, or to check, the claim. */
function claimOf(row: ChannelRow): object {
  return {
    channelId: row.channelId,
    ledgerChannelId: row.ledgerChannelId,
    publicKey: row.publicKey,
    profile: row.profile,
    amount: row.committed,
    sequence: row.sequence,
    signature: row.signature,
    exportedAt: new Date().toISOString(),
  };
}

function download(name: string, text: string): void {
  const link = make('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export class ChannelDetail {
  readonly #dialog = byId<HTMLDialogElement>('detail');

  constructor() {
    byId('detail-close').addEventListener('click', () => this.#dialog.close());
  }

  show(row: ChannelRow): void {
    setText(byId('detail-title'), `Channel ${row.channelId}`);
    const terms = make('div');
    showTerms(terms, termsOf(row));
    const button = make('button', 'Export the best claim');
    button.type = 'button';
    button.id = 'export';
    const said = make('p.message');
    said.setAttribute('role', 'status');
    const actions = make('div.actions', button);
    byId('detail-body').replaceChildren(terms, actions, said);
    button.addEventListener('click', () => void this.#export(row.channelId, said));
    if (!hasToken()) actions.append(this.#tokenButton());
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #tokenButton(): HTMLButtonElement {
    const button = make('button', 'Enter a token');
    button.type = 'button';
    button.addEventListener('click', () => {
      this.#dialog.close();
      askForToken();
    });
    return button;
  }

  /** The claim as it is now, which may be a newer one than that on show. */
  async #export(channelId: string, said: HTMLElement): Promise<void> {
    try {
      const row = await ask<ChannelRow>(`/channels/${channelId}`);
      if (typeof row.signature !== 'string') {
        setText(said, `The claim was not exported. Its signature: ${signatureText(row)}.`);
        said.classList.add('bad');
        return;
      }
      const text = `${JSON.stringify(claimOf(row), null, 2)}\n`;
      download(`claim-${channelId}.json`, text);
      said.classList.remove('bad');
      setText(
        said,
        `Exported the claim of ${amountText(row.committed)}. Whoever has it can redeem it for the payee alone.`,
      );
      byId('detail-body').querySelector('pre')?.remove();
      const shown = make('pre', text);
      shown.tabIndex = 0;
      shown.setAttribute('role', 'region');
      shown.setAttribute('aria-label', 'The exported claim');
      byId('detail-body').append(shown);
    } catch (error) {
      said.classList.add('bad');
      setText(said, (error as Error).message);
    }
  }
}
