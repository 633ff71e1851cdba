/**
 * Which network a node's channels are on. It is pinned when it is first seen: the same account may have channels of the same
 * id on another network, where drops are worth nothing. Main thread.
 */
import { ClaimwireError } from '../errors.ts';
import type { SideTables } from '../registry/side-tables.ts';
import { unversioned, versioned } from './view.ts';
import { META_TABLE } from './view-entries.ts';

const NETWORK_KEY = Buffer.from('network');

export class NetworkPin {
  readonly #tables: SideTables;
  #pinned: number | undefined;

  /** Throws CONFIG_INVALID where the network that is wanted is not the one that is pinned. */
  constructor(tables: SideTables, wanted: number | undefined) {
    this.#tables = tables;
    const value = tables.get(META_TABLE, NETWORK_KEY);
    if (value !== undefined) this.#pinned = (unversioned(value, 'network') as { networkId: number }).networkId;
    if (wanted !== undefined && this.#pinned !== undefined && wanted !== this.#pinned)
      throw new ClaimwireError(
        'CONFIG_INVALID',
        `ledger-network: expected ${this.#pinned}, which this data folder's channels are on, got ${wanted}; take another data folder for another network`,
        { setting: 'ledger-network' },
      );
    this.#pinned ??= wanted;
  }

  get networkId(): number | undefined {
    return this.#pinned;
  }

  /** Pins the first network. Throws LEDGER_REFUSED for another one: nothing that its servers say is believed. */
  async check(networkId: number): Promise<void> {
    if (this.#pinned !== undefined && networkId !== this.#pinned)
      throw new ClaimwireError(
        'LEDGER_REFUSED',
        `ledger: expected a server of network ${this.#pinned}, which this data folder's channels are on, got one of network ${networkId}; name another server, or take another data folder`,
      );
    if (this.#tables.get(META_TABLE, NETWORK_KEY) === undefined)
      await this.#tables.commit([{ table: META_TABLE, key: NETWORK_KEY, value: versioned({ networkId }) }]);
    this.#pinned = networkId;
  }
}
