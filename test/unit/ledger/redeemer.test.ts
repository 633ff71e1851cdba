/** Redeeming on the test ledger's rules: what is paid, what is refused, and what becomes of a transaction that is lost. */
import { expect, test } from 'vitest';
import { idOf, PAYEE, PAYER, signature } from '../../support/chain-rig.ts';
import { RedeemRig } from '../../support/redeem-rig.ts';

const XRP = 1_000_000n;
const fees = (rig: RedeemRig) => rig.transactionsOf(PAYEE.address).length;

test('the best claim is paid out once, and a higher one brings the difference', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const redeemer = rig.redeemer();
  const first = await rig.until(redeemer.redeem(row.channelId));
  expect(first).toMatchObject({ outcome: 'paid', paid: 5n * XRP, feeDrops: 10n, reason: 'tesSUCCESS' });
  expect(first.hash).toBe(rig.transactionsOf(PAYEE.address)[0]!.hash);
  expect(rig.paidOut(row)).toBe(5n * XRP);
  expect(redeemer.paidAt(row.channelId)).toBe(rig.now);

  expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({
    outcome: 'nothing',
    reason: 'nothing was committed since the ledger paid out last',
  });
  // Amounts are cumulative: 7 XRP in all is 2 more, not 7.
  rig.rows.commit(row, 7n * XRP);
  expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({ outcome: 'paid', paid: 2n * XRP });
  expect(rig.paidOut(row)).toBe(7n * XRP);
  expect(BigInt(rig.account(PAYEE.address).Balance)).toBe(1_000n * XRP + 7n * XRP - 20n);
  expect(fees(rig)).toBe(2);
  expect(redeemer.history(10).map(({ state, paid }) => [state, paid])).toEqual([
    ['paid', 2n * XRP],
    ['paid', 5n * XRP],
  ]);
  // An operator's list shows no blob of what is final.
  expect(redeemer.history(10).map(({ blob }) => blob)).toEqual(['', '']);
});

test('what leaves of signed roots have paid is left out, also of a close', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const place = { lane: 0, segment: 1, offset: 4_096, leaf: 0 };
  const leaf = { amount: 9n * XRP, sequence: 4, timestampBits: 0n, place };
  const own = { committed: 5n * XRP, sequence: 3, timestampBits: 0n };
  rig.rows.set({ ...row, committed: 9n * XRP, rooted: { ...own, leaf } });
  const redeemer = rig.redeemer();
  expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({ outcome: 'paid', paid: 5n * XRP });
  expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({
    outcome: 'nothing',
    reason: 'nothing was committed since the ledger paid out last',
  });
  // A claim on its own for less than is committed has covered some of it.
  const covered = { ...own, committed: 7n * XRP };
  const covering = signature(idOf(row), 7n * XRP);
  rig.rows.set({ ...row, committed: 9n * XRP, signature: covering, rooted: { ...covered, leaf } });
  expect(await rig.until(redeemer.redeem(row.channelId, { close: true }))).toMatchObject({ paid: 2n * XRP });
});

test('a server that is behind does not have what was paid counted twice', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const before = await rig.connection.channel(row.ledgerChannelId);
  await rig.until(rig.redeemer().redeem(row.channelId));
  // Another process asks a server that has not heard of the payment; by the next question it has.
  const redeemer = rig.restart();
  rig.connection.channel = async () => before;
  expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({ outcome: 'nothing' });
  rig.rows.commit(row, 7n * XRP);
  expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({ outcome: 'paid', paid: 2n * XRP });
  expect(rig.paidOut(row)).toBe(7n * XRP);
  expect(fees(rig)).toBe(2);
});

test('a channel is not closed by the word of a server that is behind: the last claim would be left out for good', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const before = await rig.connection.channel(row.ledgerChannelId);
  const redeemer = rig.redeemer();
  await rig.until(redeemer.redeem(row.channelId));
  rig.rows.commit(row, 7n * XRP);
  // It knows of an earlier deposit, all of which was paid since.
  const channel = { ...before.channel!, amount: 5n * XRP };
  const now = rig.connection.channel;
  rig.connection.channel = async () => ({ ...before, channel });
  const result = await rig.until(redeemer.redeem(row.channelId, { close: true }));
  expect(result).toMatchObject({ outcome: 'nothing' });
  expect(result.reason).toContain("the ledger's server is behind");
  rig.connection.channel = now;
  expect(await rig.until(redeemer.redeem(row.channelId, { close: true }))).toMatchObject({
    outcome: 'paid',
    paid: 2n * XRP,
  });
});

test('what brings less than its fee is not redeemed', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 10n });
  const redeemer = rig.redeemer();
  const result = await rig.until(redeemer.redeem(row.channelId));
  expect(result).toMatchObject({ outcome: 'nothing', hash: null });
  expect(result.reason).toContain('fee of 10 drops is not below the 10 drops');
  rig.rows.commit(row, 11n);
  expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({ outcome: 'paid', paid: 11n });
  // What was paid out already is no reason for a fee.
  rig.rows.commit(row, 20n);
  expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({ outcome: 'nothing' });
  expect(fees(rig)).toBe(1);
});

test('a fee over the limit is not paid', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  rig.connection.feeDrops = 1_001n;
  const result = await rig.until(rig.redeemer().redeem(row.channelId));
  expect(result).toMatchObject({ outcome: 'nothing', reason: 'the fee is 1001 drops now, over the limit of 1000' });
  expect(fees(rig)).toBe(0);
});

test('an expired channel is left alone: tesSUCCESS would pay nothing', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ settleDelay: 60 });
  await rig.askToClose(row);
  await rig.step(60);
  const result = await rig.until(rig.redeemer().redeem(row.channelId));
  expect(result).toMatchObject({ outcome: 'nothing', paid: 0n });
  expect(result.reason).toContain('it has expired');
  expect(fees(rig)).toBe(0);
});

test('a server that is behind does not make an expired channel look open', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ settleDelay: 600 });
  await rig.askToClose(row);
  rig.clock.advance(700_000);
  expect((await rig.redeemer().redeem(row.channelId)).reason).toContain('it has expired');
  expect(fees(rig)).toBe(0);
});

test('tesSUCCESS on a channel that expired meanwhile is believed only by what it delivered', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ settleDelay: 60 });
  await rig.askToClose(row);
  await rig.step(40);
  rig.chain.holdSubmissions = true;
  const redemption = rig.redeemer().redeem(row.channelId);
  for (let step = 0; step < 8; step++) await rig.step();
  rig.chain.holdSubmissions = false;
  const result = await rig.until(redemption);
  expect(rig.transactionsOf(PAYEE.address)[0]!.result).toBe('tesSUCCESS');
  expect(result).toMatchObject({ outcome: 'failed', paid: 0n, feeDrops: 10n });
  expect(result.reason).toContain('paid nothing: the channel had expired');
});

test('a claim over the deposit brings what is deposited', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ deposit: 3n * XRP, committed: 5n * XRP });
  expect(await rig.until(rig.redeemer().redeem(row.channelId))).toMatchObject({ outcome: 'paid', paid: 3n * XRP });
});

test('throw-away and link channels, and those with nothing committed, are never redeemed', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  const redeemer = rig.redeemer();
  // What the ledger paid for a claim that this node never had is committed without a signature.
  const raised = { committed: 3n * XRP, signature: new Uint8Array(64) };
  for (const change of [{ throwAway: true }, { profile: 'link' as const }, { committed: 0n }, raised]) {
    rig.rows.set({ ...row, ...change });
    expect(await rig.until(redeemer.redeem(row.channelId))).toMatchObject({ outcome: 'nothing', hash: null });
  }
  expect(rig.connection.calls).toEqual([]);
  await expect(redeemer.redeem(7n)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
});

test('a channel of another payee, another key, or none on the ledger is left alone', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  const other = await rig.until(rig.redeemer({ wallet: rig.wallet(PAYER) }).redeem(row.channelId));
  expect(other.reason).toContain(`it pays ${PAYEE.address}`);
  rig.rows.set({ ...row, publicKey: Buffer.from(PAYEE.publicKey, 'hex') });
  expect((await rig.until(rig.redeemer().redeem(row.channelId))).reason).toContain('its key on the ledger');
  rig.rows.set({ ...row, ledgerChannelId: new Uint8Array(32) });
  expect((await rig.until(rig.redeemer().redeem(row.channelId))).reason).toContain('not on the ledger');
  expect(fees(rig)).toBe(0);
});

test('a signature with high s is not submitted: the ledger refuses it', async () => {
  const order = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;
  const rig = new RedeemRig();
  const row = await rig.opened();
  const low = Buffer.from(row.signature).toString('hex');
  const high = (order - BigInt(`0x${low.slice(64)}`)).toString(16).padStart(64, '0');
  rig.rows.set({ ...row, signature: Buffer.from(low.slice(0, 64) + high, 'hex') });
  await expect(rig.until(rig.redeemer().redeem(row.channelId))).rejects.toThrow('low s');
  expect(fees(rig)).toBe(0);
});

test('closing brings the last claim in the same transaction, and takes no claim after it', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const closing = rig.rows.closeChannel.bind(rig.rows);
  // A claim arrives while the redemption is being prepared.
  rig.rows.closeChannel = (channelId) => {
    rig.rows.commit(row, 6n * XRP);
    return closing(channelId);
  };
  const redemption = rig.redeemer().redeem(row.channelId, { close: true });
  const result = await rig.until(redemption);
  expect(result).toMatchObject({ outcome: 'paid', paid: 6n * XRP, reason: 'tesSUCCESS, closed' });
  expect(rig.rows.channel(row.channelId)!.state).toBe('closed');
  expect(rig.paidOut(row)).toBeUndefined();
  expect(fees(rig)).toBe(1);
  expect(BigInt(rig.account(PAYEE.address).Balance)).toBe(1_006n * XRP - 10n);
});

test('without being asked no channel is closed; with nothing to redeem, closing is all', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const redeemer = rig.redeemer();
  await rig.until(redeemer.redeem(row.channelId));
  expect(rig.transactionsOf(PAYEE.address)[0]!.tx.Flags).toBe(0);
  expect(rig.rows.channel(row.channelId)!.state).toBe('open');
  const closed = await rig.until(redeemer.redeem(row.channelId, { close: true }));
  expect(closed).toMatchObject({ outcome: 'nothing', reason: 'closed', paid: 0n });
  expect(rig.paidOut(row)).toBeUndefined();
});

test('a transaction that is lost is submitted again as it is', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  rig.losesSubmissions = true;
  const redemption = rig.redeemer().redeem(row.channelId);
  for (let step = 0; step < 5; step++) await rig.step();
  rig.losesSubmissions = false;
  const result = await rig.until(redemption);
  expect(result).toMatchObject({ outcome: 'paid', paid: 5n * XRP });
  expect(fees(rig)).toBe(1);
  const sequences = rig.transactionsOf(PAYEE.address).map(({ tx }) => tx.Sequence);
  expect(sequences).toEqual([1]);
});

test('one that can never be validated is followed by another, with the same sequence number and one fee in all', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  rig.losesSubmissions = true;
  const redeemer = rig.redeemer();
  const redemption = redeemer.redeem(row.channelId);
  for (let step = 0; step < 23; step++) await rig.step();
  rig.losesSubmissions = false;
  expect(await rig.until(redemption)).toMatchObject({ outcome: 'paid', paid: 5n * XRP });
  expect(redeemer.history(10).map(({ state, sequence }) => [state, sequence])).toEqual([
    ['paid', 1],
    ['never', 1],
  ]);
  expect(fees(rig)).toBe(1);
});

test('not found is not final while the server may not know the ledger', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  const redeemer = rig.redeemer();
  const redemption = redeemer.redeem(row.channelId);
  await rig.step(0);
  // It is validated, but this server lost the ledgers that may have it.
  rig.connection.knowsFrom = Number.MAX_SAFE_INTEGER;
  for (let step = 0; step < 25; step++) await rig.step();
  expect(redeemer.history(10)).toMatchObject([{ state: 'pending' }]);
  expect(fees(rig)).toBe(1);
  rig.connection.knowsFrom = 0;
  expect(await rig.until(redemption)).toMatchObject({ outcome: 'paid', paid: 5n * XRP });
  expect(redeemer.history(10)).toHaveLength(1);
});

test('where no server has the history any more, the Balance of the channel tells', async () => {
  for (const isLost of [false, true]) {
    const rig = new RedeemRig();
    const row = await rig.opened();
    rig.losesSubmissions = isLost;
    const redemption = rig.redeemer().redeem(row.channelId);
    await rig.step();
    rig.connection.knowsFrom = Number.MAX_SAFE_INTEGER;
    for (let step = 0; step < 45; step++) await rig.step();
    rig.losesSubmissions = false;
    rig.connection.knowsFrom = 0;
    expect(await rig.until(redemption)).toMatchObject({ outcome: 'paid', paid: 5n * XRP });
    expect(fees(rig)).toBe(1);
  }
});

test('calls for one channel share one transaction, and other channels have others', async () => {
  const rig = new RedeemRig();
  const rows = [await rig.opened(), await rig.opened(), await rig.opened()];
  const redeemer = rig.redeemer();
  const redemptions = [...rows, ...rows].map(({ channelId }) => redeemer.redeem(channelId));
  const results = await rig.until(Promise.all(redemptions));
  expect(results.map(({ outcome, paid }) => [outcome, paid])).toEqual(Array(6).fill(['paid', 5n * XRP]));
  expect(rig.transactionsOf(PAYEE.address).map(({ tx }) => tx.Sequence)).toEqual([1, 2, 3]);
  // Each took a number of its own at once; two with one number would have cost a minute.
  expect(redeemer.history(9).map(({ state }) => state)).toEqual(['paid', 'paid', 'paid']);
});

test('a call that comes after the claim was taken redeems what is new since', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const redeemer = rig.redeemer();
  const first = redeemer.redeem(row.channelId);
  rig.chain.holdSubmissions = true;
  await rig.step();
  const same = redeemer.redeem(row.channelId);
  rig.chain.holdSubmissions = false;
  expect(await rig.until(same)).toEqual(await first);
  rig.chain.holdSubmissions = true;
  rig.rows.commit(row, 6n * XRP);
  const third = redeemer.redeem(row.channelId);
  await rig.step();
  rig.rows.commit(row, 9n * XRP);
  const fourth = redeemer.redeem(row.channelId);
  rig.chain.holdSubmissions = false;
  expect(await rig.until(Promise.all([third, fourth]))).toMatchObject([{ paid: XRP }, { paid: 3n * XRP }]);
  expect(fees(rig)).toBe(3);
});

test('more channels than a server queues are redeemed in turns', async () => {
  const rig = new RedeemRig();
  const rows = [];
  for (let count = 0; count < 12; count++) rows.push(await rig.opened({ deposit: 10n * XRP }));
  const redeemer = rig.redeemer();
  const redemption = Promise.all(rows.map(({ channelId }) => redeemer.redeem(channelId)));
  rig.chain.holdSubmissions = true;
  for (let step = 0; step < 5; step++) await rig.step();
  expect(redeemer.history(30)).toHaveLength(8);
  rig.chain.holdSubmissions = false;
  expect((await rig.until(redemption)).every(({ outcome }) => outcome === 'paid')).toBe(true);
  expect(fees(rig)).toBe(12);
});

test('while no server is reached it waits, and goes on where it was', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  const redeemer = rig.redeemer();
  const redemption = redeemer.redeem(row.channelId);
  for (let drop = 0; drop < 3; drop++) {
    rig.connection.isDown = true;
    await rig.step();
    rig.connection.isDown = false;
    if (drop === 0) await expect(redemption).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
    await rig.step();
  }
  const again = redeemer.redeem(row.channelId);
  for (let turn = 0; turn < 8; turn++) await new Promise(setImmediate);
  rig.connection.isDown = true;
  for (let step = 0; step < 3; step++) await rig.step();
  rig.connection.isDown = false;
  expect(await rig.until(again)).toMatchObject({ outcome: 'paid', paid: 5n * XRP });
  expect(fees(rig)).toBe(1);
});

test('a signal ends the waiting and not the redemption; a stop leaves it to the next start', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened();
  const redeemer = rig.redeemer();
  const stop = new AbortController();
  const redemption = redeemer.redeem(row.channelId, { signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(redemption).rejects.toThrow('enough');
  rig.chain.holdSubmissions = true;
  await rig.step();
  expect(redeemer.history(1)).toMatchObject([{ state: 'pending' }]);
  await redeemer.stop();
  await expect(redeemer.redeem(row.channelId)).rejects.toMatchObject({ code: 'NODE_STOPPING' });
  rig.chain.holdSubmissions = false;
  await rig.step();

  const next = rig.redeemer();
  next.resume();
  await rig.step();
  expect(next.history(9)).toMatchObject([{ state: 'paid', paid: 5n * XRP }]);
  expect(fees(rig)).toBe(1);
});

test('a network with a high id is named in the transaction', async () => {
  const rig = new RedeemRig({ networkId: 21_337 });
  rig.pay = (
    (original) => (fields, of) =>
      original.call(rig, { ...fields, NetworkID: 21_337 }, of)
  )(rig.pay);
  const row = await rig.opened();
  expect(await rig.until(rig.redeemer().redeem(row.channelId))).toMatchObject({ outcome: 'paid' });
  expect(rig.transactionsOf(PAYEE.address)[0]!.tx.NetworkID).toBe(21_337);
});

test('the claim on the ledger is the one that the payer signed, in drops and DER', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 1_234_567n });
  await rig.until(rig.redeemer().redeem(row.channelId));
  const { tx } = rig.transactionsOf(PAYEE.address)[0]!;
  expect(tx).toMatchObject({ Amount: '1234567', Balance: '1234567', Channel: idOf(row), Flags: 0 });
  expect(tx.Signature).toBe(PAYER.signClaim(idOf(row), 1_234_567n));
  // The test ledger has no mercy on drops for XRP, or on the compact form.
  expect(Buffer.from(signature(idOf(row), 1_234_567n))).toEqual(Buffer.from(row.signature));
  expect(rig.transactionsOf(PAYEE.address)[0]!.result).toBe('tesSUCCESS');
});
